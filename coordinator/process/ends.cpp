#include "coordinator/process/ends.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <tutti/error.hpp>

#include "common/system_limits.hpp"

namespace tutti {
namespace {

[[noreturn]] void fail(const char* what) {
  const int error = errno;
  throw Error(ErrorKind::failed, fmt::format("could not create {}", what), std::strerror(error), limit_hint(error));
}

}  // namespace

Ends make_control_sockets() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) fail("a control socket");
  // Only our end is non-blocking; the worker's calls wait.
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Ends make_output_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) fail("a pipe for a worker's output");
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace tutti
