#include "common/wire/doorbell.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <tutti/error.hpp>

#include "common/system_limits.hpp"

namespace tutti {

Doorbell Doorbell::create() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) {
    const int error = errno;
    throw Error(ErrorKind::failed, "could not create an eventfd", std::strerror(error), refusal_hint(error));
  }
  return Doorbell(std::move(fd));
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

bool Doorbell::is_rung(int fd) noexcept {
  pollfd bell{fd, POLLIN, 0};
  return ::poll(&bell, 1, 0) == 1;
}

}  // namespace tutti
