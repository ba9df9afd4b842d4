#include "common/unique_fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace tutti {

int UniqueFd::moved_up(int fd) noexcept {
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kLastStandardStream + 1);
  const int error = errno;
  ::close(fd);
  errno = error;
  return moved;
}

void UniqueFd::reset() noexcept {
  // close() must not be repeated on EINTR: Linux has released the number already.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace tutti
