#include "common/standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace tutti {
namespace {

/// Something to which writes go nowhere, at the lowest free number; -1 if nothing can be opened.
int open_nothing(int flags) {
  const int fd = ::open("/dev/null", O_RDWR | flags);
  // Without /dev, a descriptor that can be neither read nor written still keeps its number from files.
  return fd >= 0 ? fd : ::open("/", O_PATH | flags);
}

}  // namespace

void open_missing_standard_streams() noexcept {
  for (;;) {
    const int fd = open_nothing(0);
    if (fd >= 0 && fd <= STDERR_FILENO) continue;
    if (fd >= 0) ::close(fd);
    return;
  }
}

OccupiedStandardStreams::OccupiedStandardStreams() noexcept {
  for (;;) {
    const int fd = open_nothing(O_CLOEXEC);
    if (fd >= 0 && fd <= STDERR_FILENO) {
      ours_[static_cast<std::size_t>(fd)] = true;
      continue;
    }
    if (fd >= 0) ::close(fd);
    return;
  }
}

OccupiedStandardStreams::~OccupiedStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (ours_[static_cast<std::size_t>(fd)]) ::close(fd);
}

}  // namespace tutti
