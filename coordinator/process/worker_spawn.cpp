// The half of the worker process about its start: what it inherits, and how the process is created.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include <boost/asio/post.hpp>

#include <tutti/error.hpp>

#include "common/kill_point.hpp"
#include "common/system_limits.hpp"
#include "common/wire/spawn_contract.hpp"
#include "coordinator/process/ends.hpp"
#include "coordinator/process/worker_process.hpp"

namespace tutti {
namespace {

/// Hands a descriptor over to the loop.
void take(boost::asio::posix::stream_descriptor& descriptor, UniqueFd fd) {
  boost::system::error_code error;
  descriptor.assign(fd.get(), error);
  if (error)
    throw Error(ErrorKind::failed, "could not watch a worker's descriptor", error.message(),
                error.value() == ENOSPC ? "raise the sysctl fs.epoll.max_user_watches" : refusal_hint(error.value()));
  fd.release();
}

}  // namespace

/// The request for a process, and the ends that it inherits, which stay open until it has them.
struct WorkerProcess::Launch {
  SpawnRequest request;
  UniqueFd control;
  UniqueFd out;
  UniqueFd err;
};

void WorkerProcess::spawn() {
  const auto launch = prepare();
  ForkServer* const fork_server = setting_.fork_server;
  if (fork_server == nullptr || !fork_server->usable()) return begin(Child::spawn(launch->request));
  alive_ = true;
  fork_server->fork(launch->request, [self = shared_from_this(), launch](std::optional<Child> child) {
    assert_on_loop(self->loop_);
    self->forked(std::move(child));
  });
}

/// The answer to the request: the process that the fork server has made, or, if it failed, one that is spawned now. If
/// the worker was told to end meanwhile, none is spawned, and one that was made is killed.
void WorkerProcess::forked(std::optional<Child> child) {
  const auto self = shared_from_this();
  if (!child && killed_) return gone(Signaled{SIGKILL});
  try {
    if (child) {
      begin(std::move(*child));
    } else {
      close_all();  // the ends that the fork server was sent
      const auto launch = prepare();
      begin(Child::spawn(launch->request));
    }
  } catch (const Error& error) {
    alive_ = false;
    close_all();
    return listener_.on_spawn_failed(*this, error);
  }
  listener_.on_spawned(*this);
}

/// Does everything that can fail before the process exists.
std::shared_ptr<WorkerProcess::Launch> WorkerProcess::prepare() {
  Ends control = make_control_sockets();
  Ends out = make_output_pipe();
  Ends err = make_output_pipe();
  Doorbell completion_bell = Doorbell::create();
  const LaunchOptions options{.member = setting_.name,
                              .parent = ::getpid(),
                              .cores = setting_.cores,
                              .debug = setting_.debug,
                              .core_files = setting_.core_files,
                              .python = setting_.python};
  SpawnRequest request{setting_.program, to_arguments(options), setting_.environment, {}};
  request.descriptors = {-1,
                         out.theirs.get(),
                         err.theirs.get(),
                         control.theirs.get(),
                         setting_.arena_fd,
                         channel_file_.fd(),
                         task_bell_.fd(),
                         completion_bell.fd()};
  take(control_, std::move(control.ours));
  take(stdout_, std::move(out.ours));
  take(stderr_, std::move(err.ours));
  take(completion_bell_, UniqueFd(completion_bell.release()));
  return std::make_shared<Launch>(
      Launch{std::move(request), std::move(control.theirs), std::move(out.theirs), std::move(err.theirs)});
}

void WorkerProcess::begin(Child child) {
  pid_ = child.pid();
  alive_ = true;
  kill_point("coordinator.worker_spawned");
  if (child.pidfd() >= 0)
    watch_over(child);
  else
    boost::asio::post(loop_, [self = shared_from_this()] {
      assert_on_loop(self->loop_);
      self->gone(GoneUnseen{});
    });
  listen();
  if (killed_) kill();
}

void WorkerProcess::watch_over(Child& child) {
  try {
    take(pidfd_, child.take_pidfd());
  } catch (const Error&) {
    // It cannot be watched, so it must not run.
    child.end();
    alive_ = false;
    throw;
  }
}

}  // namespace tutti
