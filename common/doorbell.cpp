#include "common/doorbell.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <tutti/error.hpp>

namespace tutti {

Doorbell Doorbell::create() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    throw Error(ErrorKind::failed, "could not create an eventfd", std::strerror(error),
                error == EMFILE || error == ENFILE ? "too many open files: raise 'ulimit -n'" : "");
  }
  return Doorbell(UniqueFd(fd));
}

void Doorbell::ring() noexcept {
  const std::uint64_t one = 1;
  while (::write(fd_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Doorbell::silence() noexcept {
  std::uint64_t count = 0;
  while (::read(fd_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace tutti
