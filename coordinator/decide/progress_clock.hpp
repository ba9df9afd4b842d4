// How long a worker has made no progress, and how long its slowest batch took. Pure: the caller passes the time. It
// reads a counter that the worker writes, which may hold any value: an estimate never exceeds the time that really
// passed between two looks.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tutti {

class ProgressClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  /// A new worker, whose counter begins at 0. What the slowest batch took is remembered.
  void reset() { seen_ = 0; }
  /// An idle worker was given something to do.
  void begin(Time now) { since_ = changed_ = now; }
  /// It has answered: progress, whatever the counter says.
  void answered(Time now) { since_ = now; }
  /// The counter has this value now; `working`: the worker has something to do.
  void look(std::uint64_t batches, bool working, Time now);
  /// No stall was found until now: the measured times count.
  void confirm() { slowest_ = std::max(slowest_, fresh_); }
  /// The coordinator had been stopped, so the times of the batches since the last confirm() are unknown.
  void stalled(Time now);

  /// Since when there was no progress.
  Time since() const noexcept { return since_; }
  Seconds slowest() const noexcept { return slowest_; }

 private:
  std::uint64_t seen_ = 0;
  Time since_{};
  Time changed_{};     // when the counter was last seen to change, or work began
  Seconds slowest_{};  // batch
  Seconds fresh_{};    // batch that was not confirmed yet
};

}  // namespace tutti
