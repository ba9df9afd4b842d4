// How long a worker has made no progress, how much of that time it was kept from working, and how long its slowest
// batch took. Pure: the caller passes the time and what the kernel counted. The counter of batches is written by the
// worker and may hold any value: an estimate never exceeds the time that really passed between two looks.
//
// A worker on a busy machine is slow, but it does not hang. If it is runnable and gets only a tenth of a processor,
// only a tenth of the time counts. The same holds while it waits for its pages. A worker that sleeps, is stopped, or
// computes undisturbed without finishing a batch has no such excuse.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "common/process_activity.hpp"

namespace tutti {

class ProgressClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  /// A new worker, whose counter begins at 0. What the slowest batch took is remembered.
  void reset();
  /// A batch took this long before there was a task.
  void expect(Seconds batch) { fresh_ = slowest_ = std::max(slowest_, batch); }
  /// An idle worker was given something to do.
  void begin(Time now);
  /// It has answered: progress, whatever the counter says.
  void answered(Time now) { progressed(now); }
  /// The counter has this value now; `working`: the worker has something to do.
  void look(std::uint64_t batches, bool working, Time now);
  /// What the process has done until now. The time since the last call is excused as far as the process wanted to work
  /// and could not; nothing is known about the time before the first call after progress.
  void watch(const ProcessActivity& activity, Time now);
  /// No stall was found until now: the measured times count.
  void confirm() { slowest_ = std::max(slowest_, fresh_); }
  /// The coordinator had been stopped, so the times of the batches since the last confirm() are unknown.
  void stalled(Time now);

  /// Since when there was no progress.
  Time since() const noexcept { return since_; }
  /// How much of the time since then is excused.
  Seconds excused() const noexcept { return excused_; }
  Seconds slowest() const noexcept { return slowest_; }

 private:
  void progressed(Time now);

  std::uint64_t seen_ = 0;
  Time since_{};
  Seconds excused_{};
  Time changed_{};     // when the counter was last seen to change, or work began
  Seconds slowest_{};  // batch
  Seconds fresh_{};    // batch that was not confirmed yet
  std::optional<ProcessActivity> watched_;
  Time watched_at_{};
};

}  // namespace tutti
