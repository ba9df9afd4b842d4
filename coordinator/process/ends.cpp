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
  throw Error(ErrorKind::failed, fmt::format("could not create {}", what), std::strerror(error), refusal_hint(error));
}

Ends owned(const std::array<int, 2>& fds, const char* what) {
  Ends ends{UniqueFd(fds[0]), UniqueFd(fds[1])};
  if (!ends.ours || !ends.theirs) fail(what);
  // Only our end is non-blocking; the worker's calls wait.
  ::fcntl(ends.ours.get(), F_SETFL, O_NONBLOCK);
  return ends;
}

}  // namespace

Ends make_control_sockets() {
  constexpr const char* kWhat = "a control socket";
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) fail(kWhat);
  return owned(fds, kWhat);
}

Ends make_output_pipe() {
  constexpr const char* kWhat = "a pipe for what a worker prints";
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) fail(kWhat);
  return owned(fds, kWhat);
}

}  // namespace tutti
