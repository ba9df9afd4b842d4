#include "coordinator/process/fork_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <boost/asio/post.hpp>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/kill_point.hpp"
#include "common/log.hpp"
#include "common/wire/control.hpp"
#include "common/wire/descriptor_passing.hpp"
#include "common/wire/spawn_contract.hpp"
#include "coordinator/process/ends.hpp"

namespace tutti {
namespace {

// Time between two looks at a group whose members were killed: they need some milliseconds to end.
constexpr std::chrono::milliseconds kLookAgain{2};

/// Why this greeting is not from a fork server of this build; empty if it is.
std::string refuse(std::string_view text) {
  if (text.empty()) return "it ended while it was starting";
  try {
    const control::Message message = control::decode(text);
    if (const auto* failure = std::get_if<control::Failure>(&message)) return failure->text;
    if (const auto* hello = std::get_if<control::Hello>(&message))
      return hello->build_id == build_id() ? "" : "it is from another build";
    return "it sent a message out of turn";
  } catch (const Error& error) {
    return error.what();
  }
}

bool send_request(int socket, const SpawnRequest& request) {
  const std::string text = join_fork_request(request.arguments);
  if (text.size() > kMaxForkRequest || request.descriptors.size() != kFirstForeignFd) return false;
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::array<int, kFirstForeignFd> descriptors{};
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    descriptors[i] = request.descriptors[i] < 0 ? nothing.get() : request.descriptors[i];
  return send_with_descriptors(socket, text, descriptors);
}

/// The pid in the answer, or the negative errno; 0 if it is not a number.
int pid_of(std::string_view text) {
  int pid = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc{} && rest == text.data() + text.size() ? pid : 0;
}

/// Kills the members of a group. Its leader is our child; if it has been reaped already, another process may have the
/// number, and nothing is killed.
void kill_members(int group) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(group), &info, WEXITED | WNOHANG | WNOWAIT) == 0) ::kill(-group, SIGKILL);
}

/// Reaps those of our children in the group that have ended. False if one has not ended.
bool reap_members(int group) {
  for (;;) {
    siginfo_t info{};
    const int result = ::waitid(P_PGID, static_cast<id_t>(group), &info, WEXITED | WNOHANG);
    if (result != 0 && errno != EINTR) return true;  // ECHILD: no children left
    if (result == 0 && info.si_pid == 0) return false;
  }
}

}  // namespace

ForkServer::ForkServer(boost::asio::io_context& loop)
    : loop_(loop), socket_(loop), pidfd_(loop), deadline_(loop), again_(loop) {}

ForkServer::~ForkServer() {
  if (!child_) return;
  kill_members(child_->pid());
  child_->end(std::chrono::milliseconds(0));
}

// ---- from nothing to usable ----------------------------------------------------------------------------------------

void ForkServer::start(Setting setting) {
  setting_ = std::move(setting);
  state_ = State::starting;
  try {
    launch();
  } catch (const std::exception& error) {
    give_up(error.what());
    return setting_.settled();
  }
  kill_point("coordinator.fork_server_spawned");
  arm(setting_.start_deadline, &ForkServer::answer_is_late);
  watch_socket();
  watch_process();
}

void ForkServer::launch() {
  Ends ends = make_control_sockets();
  LaunchOptions options{.member = "fork server",
                        .parent = ::getpid(),
                        .core_files = setting_.core_files,
                        .fork_server = true,
                        .preload = setting_.preload};
  socket_.assign(ends.ours.get());
  ends.ours.release();
  child_ =
      Child::spawn({setting_.program, to_arguments(options), setting_.environment, {-1, -1, -1, ends.theirs.get()}});
  if (child_->pidfd() < 0) throw Error(ErrorKind::failed, "it ended, and other code in this program has waited for it");
  UniqueFd pidfd = child_->take_pidfd();
  pidfd_.assign(pidfd.get());
  pidfd.release();
}

void ForkServer::watch_socket() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    assert_on_loop(loop_);
    if (error || !socket_.is_open()) return;
    if (hear() == Heard::end) return;
    if (socket_.is_open()) watch_socket();
  });
}

void ForkServer::watch_process() {
  pidfd_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    assert_on_loop(loop_);
    if (!error && pidfd_.is_open()) exited();
  });
}

/// Takes one message, if one is there.
ForkServer::Heard ForkServer::hear() {
  std::array<char, control::kMaxBytes + 1> buffer;
  const ssize_t length = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return Heard::nothing;
  const std::string_view text(buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  if (state_ == State::starting)
    greeted(text);
  else if (!text.empty())
    answered(text);
  return text.empty() ? Heard::end : Heard::message;  // at the end, the pidfd will tell how the process ended
}

void ForkServer::greeted(std::string_view text) {
  disarm();
  const std::string problem = refuse(text);
  if (problem.empty())
    state_ = State::usable;
  else
    give_up(problem);
  setting_.settled();
}

// ---- workers -------------------------------------------------------------------------------------------------------

void ForkServer::fork(SpawnRequest request, Made made) {
  requests_.push_back({std::move(request), std::move(made)});
  if (requests_.size() > 1) return;
  // Posted, since `made` must not be called from here.
  boost::asio::post(loop_, [this] {
    assert_on_loop(loop_);
    ask();
  });
}

void ForkServer::ask() {
  if (!usable() || requests_.empty()) return;
  if (!send_request(socket_.native_handle(), requests_.front().spawn))
    return give_up("it cannot be asked for a worker");
  arm(setting_.answer_deadline, &ForkServer::answer_is_late);
}

void ForkServer::answered(std::string_view text) {
  disarm();
  const int pid = pid_of(text);
  if (pid < 0) return give_up(fmt::format("it could not make a worker ({})", std::strerror(-pid)));
  if (requests_.empty() || pid == 0) return give_up("it gave an answer that makes no sense");
  std::optional<Child> worker;
  try {
    worker = Child::adopt(pid);
  } catch (const Error& error) {
    return give_up(error.what());
  }
  // Moves the worker out of the server's group, which is killed as a whole. The worker must not do this itself: it
  // could then leave the group before we have read the answer.
  ::setpgid(pid, pid);
  const Made made = std::move(requests_.front().made);
  requests_.pop_front();
  ask();
  made(std::move(worker));
}

// ---- time ----------------------------------------------------------------------------------------------------------

void ForkServer::arm(Seconds deadline, void (ForkServer::*late)()) {
  deadline_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline));
  deadline_.async_wait([this, late, number = ++armed_](const boost::system::error_code&) {
    assert_on_loop(loop_);
    if (number == armed_) (this->*late)();
  });
}

// A wait that has already ended cannot be cancelled, but its number no longer matches. A wait that is only cancelled
// leaves Asio's timerfd as it was: at the deadline it would wake a loop that is idle by then. A wait that ends at once
// makes Asio set it again, for what else is to come.
void ForkServer::disarm() {
  ++armed_;
  deadline_.expires_after(std::chrono::seconds(0));
  deadline_.async_wait([](const boost::system::error_code&) {});
}

void ForkServer::answer_is_late() {
  // If this process had been stopped, the answer may have been there for a long time.
  if (hear() == Heard::message || state_ == State::ending) return;
  const bool starting = state_ == State::starting;
  give_up(starting ? "it was not ready in time" : "it does not answer");
  if (starting) setting_.settled();
}

// ---- the end -------------------------------------------------------------------------------------------------------

void ForkServer::give_up(const std::string& why) {
  log::warning("workers are started one by one because their fork server failed: {}", why);
  end();
}

void ForkServer::end() {
  if (state_ == State::ending || state_ == State::none) return;
  state_ = State::ending;
  boost::system::error_code ignored;
  socket_.close(ignored);
  for (Request& request : std::exchange(requests_, {}))
    boost::asio::post(loop_, [made = std::move(request.made)] { made(std::nullopt); });
  if (!child_) return;
  kill_members(child_->pid());
  arm(setting_.kill_deadline, &ForkServer::end_is_late);
  if (!pidfd_.is_open()) await_group();  // it could not be watched
}

// The group is killed first: once its leader is reaped, another process may get the number.
void ForkServer::exited() {
  kill_members(child_->pid());
  const auto status = reap(pidfd_.native_handle());
  if (!status) return watch_process();
  if (state_ == State::starting) hear();  // its last message says more than its exit status
  if (state_ != State::ending) {
    const bool starting = state_ == State::starting;
    give_up("it " + to_text(*status));
    if (starting) setting_.settled();
  }
  boost::system::error_code ignored;
  pidfd_.close(ignored);
  await_group();
}

// The server itself has ended. There is no pidfd of a worker whose answer was not read, so this polls.
void ForkServer::await_group() {
  if (!child_) return;
  if (reap_members(child_->pid())) return over();
  again_.expires_after(kLookAgain);
  again_.async_wait([this](const boost::system::error_code& cancelled) {
    assert_on_loop(loop_);
    if (!cancelled) await_group();
  });
}

void ForkServer::end_is_late() {
  log::error("the fork server, process {}, does not end even after SIGKILL; it is left behind", pid());
  over();
}

void ForkServer::over() {
  disarm();
  again_.cancel();
  boost::system::error_code ignored;
  pidfd_.close(ignored);
  child_.reset();
  setting_.gone();
}

}  // namespace tutti
