#include "common/unique_fd.hpp"

#include <unistd.h>

namespace tutti {

void UniqueFd::reset() noexcept {
  // close() must not be repeated on EINTR: Linux has released the number already.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace tutti
