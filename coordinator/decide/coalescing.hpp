// Decides which small calls share a segment, and when that is closed and handed out: as soon as no further call fits,
// when the first has waited long enough, or when nothing else is being computed. Pure: it has no clock and no thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <vector>

namespace tutti {

/// The calls that wait for others, those of the highest priority first, and of the same in the order in which they
/// came.
class Coalescing {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Call = std::uint64_t;

  /// A segment has room for `room` rows; a call does not wait for others for longer than `most_delay`.
  Coalescing(std::uint32_t room, std::chrono::microseconds most_delay) : room_(room), most_delay_(most_delay) {}

  /// Whether a call of so many rows can share a segment: it has some, and they fit into one.
  bool takes(std::uint64_t rows) const noexcept { return rows > 0 && rows <= room_; }
  void add(Call call, std::uint32_t rows, int priority, Time now);
  /// The call is not wanted any more. False if it does not wait.
  bool remove(Call call);
  /// The calls of the next segment, in order, which wait no longer; none if it is not to be closed yet. `idle`: nothing
  /// is being computed, so nothing is gained by waiting.
  std::vector<Call> close(Time now, bool idle);
  /// Of the first call of the next segment; nothing if no call waits.
  std::optional<int> priority() const;
  /// When close() has something to do although nothing happens; nothing if no call waits.
  std::optional<Time> next_wake() const;

 private:
  struct Waiting {
    Call call;
    std::uint32_t rows;
    int priority;
    Time since;
  };

  const std::uint32_t room_;
  const std::chrono::microseconds most_delay_;
  std::list<Waiting> waiting_;
};

}  // namespace tutti
