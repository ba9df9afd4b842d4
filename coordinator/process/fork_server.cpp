#include "coordinator/process/fork_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/fault_point.hpp"
#include "common/log.hpp"
#include "common/wire/control.hpp"
#include "common/wire/spawn_contract.hpp"
#include "coordinator/process/ends.hpp"

namespace tutti {
namespace {

constexpr std::chrono::milliseconds kAnswerDeadline{500};
constexpr std::chrono::seconds kEndDeadline{10};

/// One message, as far as one is there; empty where the peer hung up or nothing came.
std::string receive(int socket) {
  std::string text(control::kMaxBytes + 1, '\0');
  const ssize_t length = ::recv(socket, text.data(), text.size(), MSG_DONTWAIT);
  text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return text;
}

/// Why this greeting is not that of a fork server of this build; empty where it is.
std::string refuse(const std::string& text) {
  if (text.empty()) return "it ended while it was starting";
  try {
    const control::Message message = control::decode(text);
    if (const auto* failure = std::get_if<control::Failure>(&message)) return failure->text;
    if (const auto* hello = std::get_if<control::Hello>(&message))
      return hello->build_id == build_id() ? "" : "it is of another build";
    return "it sent a message out of turn";
  } catch (const Error& error) {
    return error.what();
  }
}

bool send_request(int socket, const SpawnRequest& request) {
  std::string text = join_fork_request(request.arguments);
  if (text.size() > kMaxForkRequest || request.descriptors.size() != kFirstForeignFd) return false;
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::array<int, kFirstForeignFd> descriptors{};
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    descriptors[i] = request.descriptors[i] < 0 ? nothing.get() : request.descriptors[i];
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> ancillary{};
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.data();
  message.msg_controllen = ancillary.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/// The pid that the answer holds; 0 where none comes in time, or none that could be one.
int await_answer(int socket) {
  pollfd end{socket, POLLIN, 0};
  if (::poll(&end, 1, static_cast<int>(kAnswerDeadline.count())) != 1) return 0;
  const std::string text = receive(socket);
  int pid = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc{} && rest == text.data() + text.size() && pid > 0 ? pid : 0;
}

}  // namespace

ForkServer::ForkServer(boost::asio::io_context& loop) : loop_(loop), socket_(loop), deadline_(loop) {}

ForkServer::~ForkServer() { end(); }

void ForkServer::start(const std::filesystem::path& program,
                       std::vector<std::pair<std::string, std::string>> environment, bool core_files,
                       std::chrono::duration<double> deadline, std::function<void()> settled) {
  try {
    Ends ends = make_control_sockets();
    socket_.assign(ends.ours.get());
    ends.ours.release();
    LaunchOptions launch{.member = "fork server", .parent = ::getpid(), .core_files = core_files, .fork_server = true};
    child_ = Child::spawn({program, to_arguments(launch), std::move(environment), {-1, -1, -1, ends.theirs.get()}});
  } catch (const std::exception& error) {
    give_up(error.what());
    return settled();
  }
  fault_point("coordinator.fork_server_spawned");
  deadline_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline));
  deadline_.async_wait([this](const boost::system::error_code& cancelled) {
    assert_on_loop(loop_);
    if (!cancelled) socket_.cancel();
  });
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this, settled = std::move(settled)](const boost::system::error_code& error) {
                       assert_on_loop(loop_);
                       if (!child_) return;  // end() was called
                       deadline_.cancel();
                       const std::string problem =
                           error ? "it was not ready in time" : refuse(receive(socket_.native_handle()));
                       if (problem.empty())
                         usable_ = true;
                       else
                         give_up(problem);
                       settled();
                     });
}

std::optional<Child> ForkServer::fork(const SpawnRequest& request) {
  if (!usable_) return std::nullopt;
  const int socket = socket_.native_handle();
  std::optional<Child> worker;
  std::string problem = "it does not answer";
  try {
    if (send_request(socket, request)) {
      int pid = await_answer(socket);
      if (pid != 0) return Child::adopt(pid);
      // Once it is dead it makes no worker any more; one that it has made answers still, or nobody holds the socket.
      child_->end(kEndDeadline);
      pid = await_answer(socket);
      if (pid != 0) worker = Child::adopt(pid);
    }
  } catch (const Error& error) {
    problem = error.what();
  }
  give_up(problem);
  return worker;
}

void ForkServer::give_up(const std::string& why) {
  log::warning("workers are started one by one, for their fork server failed: {}", why);
  end();
}

void ForkServer::end() noexcept {
  usable_ = false;
  if (!child_) return;
  if (!child_->end(kEndDeadline))
    log::error("the fork server, process {}, does not end even after SIGKILL; it is left behind", pid());
  child_.reset();
  boost::system::error_code ignored;
  socket_.close(ignored);
  deadline_.cancel();
}

}  // namespace tutti
