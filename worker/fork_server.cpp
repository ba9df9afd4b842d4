#include "worker/fork_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/kill_point.hpp"
#include "common/wire/descriptor_passing.hpp"
#include "worker/backend_loader.hpp"

namespace tutti::worker {
namespace {

struct ForkRequest {
  std::vector<std::string> arguments;
  std::vector<UniqueFd> descriptors;  ///< number i of the worker
};

/// Nothing where the coordinator hung up.
std::optional<ForkRequest> receive_request(int socket) {
  auto received = receive_with_descriptors(socket, kMaxForkRequest, kFirstForeignFd);
  if (!received) return std::nullopt;
  ForkRequest request{split_fork_request(received->text), std::move(received->descriptors)};
  if (request.descriptors.size() != kFirstForeignFd)
    throw Error(ErrorKind::failed, "could not receive a worker's descriptors");
  return request;
}

/// A child of our parent. glibc's fork() cannot make one; so this does by itself what fork() does besides the system
/// call, as far as it matters in a process of one thread: glibc keeps the thread's number, at the address that the
/// kernel clears at its end. Returns 0 in the child, and the negative errno if there is none.
pid_t fork_sibling() {
  int* thread_number = nullptr;
  if (::prctl(PR_GET_TID_ADDRESS, &thread_number) != 0 || thread_number == nullptr) return -ENOSYS;
  clone_args args{};
  args.flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  args.child_tid = reinterpret_cast<std::uintptr_t>(thread_number);
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  return pid < 0 ? -errno : pid;
}

/// The copies first go above all targets: a dup2 must not overwrite one that is still needed.
void place_descriptors(std::vector<UniqueFd> descriptors) {
  for (UniqueFd& descriptor : descriptors)
    descriptor = UniqueFd(::fcntl(descriptor.get(), F_DUPFD, static_cast<int>(kFirstForeignFd)));
  for (int target = 0; target < kFirstForeignFd; ++target)
    ::dup2(descriptors[static_cast<std::size_t>(target)].get(), target);
}

/// What process listings show: the memory of the arguments, which the kernel reads there.
class ProcessTitle {
 public:
  ProcessTitle(int argc, char** argv)
      : memory_(argv[0], argv[argc - 1] + std::strlen(argv[argc - 1]) + 1), program_(argv[0]) {}

  void set(const std::vector<std::string>& arguments) {
    std::string text = program_ + '\0';
    for (const std::string& argument : arguments) text += argument + '\0';
    std::fill(memory_.begin(), memory_.end(), '\0');
    std::copy_n(text.begin(), std::min(text.size(), memory_.size() - 1), memory_.begin());
  }

 private:
  std::span<char> memory_;
  std::string program_;
};

/// A second thread would not exist in the children, and what it held would stay locked there.
void check_alone() {
  const auto threads = std::filesystem::directory_iterator("/proc/self/task");
  if (std::distance(begin(threads), end(threads)) != 1)
    throw Error(ErrorKind::failed, "loading the backend started a thread; its process cannot be forked");
}

void answer(int socket, pid_t pid) {
  const std::string text = std::to_string(pid);
  [[maybe_unused]] const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace

std::optional<LaunchOptions> serve_forks(ControlClient& control, bool preload, int argc, char** argv) {
  ProcessTitle title(argc, argv);
  title.set({"--fork-server"});
  if (preload) preload_backend(/*cuda=*/false);
  check_alone();
  control.send(control::Hello{build_id()});
  kill_point("fork_server.ready");
  while (auto request = receive_request(control.fd())) {
    kill_point("fork_server.request_received");
    const pid_t pid = fork_sibling();
    if (pid == 0) {
      // The worker answers, and not its maker, who may be killed at this very moment: so none is ever unknown.
      answer(control.fd(), ::getpid());
      place_descriptors(std::move(request->descriptors));
      title.set(request->arguments);
      return parse_arguments({request->arguments.begin(), request->arguments.end()});
    }
    if (pid < 0) answer(control.fd(), pid);
    kill_point("fork_server.forked");
  }
  return std::nullopt;
}

}  // namespace tutti::worker
