// An eventfd that wakes a parked peer. Only a hint: the rings are the truth, and a bell may ring for nothing.
#pragma once

#include "common/unique_fd.hpp"

namespace tutti {

/// One direction of waking. Both processes hold the same eventfd. Never blocks.
class Doorbell {
 public:
  /// A new eventfd, non-blocking and close-on-exec. Throws Error(failed).
  static Doorbell create();
  explicit Doorbell(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  /// Wakes the peer. EAGAIN (the counter is full, whoever filled it) means that it is rung already.
  void ring() noexcept;
  /// Takes back what was rung, so that the next ring wakes again.
  void silence() noexcept;

  /// Whether an eventfd holds a ring that nobody has taken back yet.
  static bool is_rung(int fd) noexcept;

  int fd() const noexcept { return fd_.get(); }
  int release() noexcept { return fd_.release(); }

 private:
  UniqueFd fd_;
};

}  // namespace tutti
