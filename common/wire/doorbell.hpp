// An eventfd that wakes a parked peer. Only a hint: the rings are the truth, and a bell may ring without a new record.
#pragma once

#include "common/unique_fd.hpp"

namespace tutti {

/// One direction of waking. Both processes hold the same eventfd. Never blocks.
class Doorbell {
 public:
  /// A new eventfd, non-blocking and close-on-exec. Throws Error(failed).
  static Doorbell create();
  explicit Doorbell(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  /// Wakes the peer. EAGAIN means that the counter is full, so the bell is rung already.
  void ring() noexcept;
  /// Resets the bell, so that the next ring wakes again.
  void silence() noexcept;

  /// Whether an eventfd has been rung and not reset since.
  static bool is_rung(int fd) noexcept;

  int fd() const noexcept { return fd_.get(); }
  int release() noexcept { return fd_.release(); }

 private:
  UniqueFd fd_;
};

}  // namespace tutti
