// Ends a worker that holds more memory than its members may (`max_memory`): a leak then costs a replacement, and not
// the machine. It looks between segments, so nothing that was computed is lost. What counts is the memory that the
// worker allocated: not the arena and the channel, which it shares, nor files that it maps.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "common/wire/member_request.hpp"

namespace tutti::worker {

/// Of a worker with these members: the sum of what they may hold; nothing if one of them may hold any amount.
std::uint64_t memory_bound(std::span<const MemberRequest* const> members);

/// Used by one thread.
class MemoryBound {
 public:
  /// At most so many bytes; 0: any number, and nothing is looked at.
  explicit MemoryBound(std::uint64_t most) : most_(most) {}

  /// Of members that were loaded and warmed up. Throws Error(failed) if they need more: a replacement may weigh more
  /// than the first did, and may be lucky the next time.
  void check_loaded() const;
  /// Between segments. Looks at most once a second, which takes some milliseconds. Throws Error(failed).
  void check();

 private:
  std::uint64_t most_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace tutti::worker
