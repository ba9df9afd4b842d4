// Owns one file descriptor. A resource: moves, does not copy.
//
// It never owns number 0, 1 or 2. A host program may have closed its standard streams, and the system then gives one
// of these numbers to the next file, which would receive whatever is printed, or end when the host opens a stream
// there.
#pragma once

#include <utility>

namespace tutti {

class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  /// Takes `fd` over. If it is 0, 1 or 2, it is closed and a copy of it is owned, which is close-on-exec; empty, with
  /// errno, if no copy can be made.
  explicit UniqueFd(int fd) noexcept : fd_(fd < 0 || fd > kLastStandardStream ? fd : moved_up(fd)) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

 private:
  static constexpr int kLastStandardStream = 2;
  static int moved_up(int fd) noexcept;
  int fd_ = -1;
};

}  // namespace tutti
