// How long a worker takes for a task, by its answers so far, and so when it will have answered what it has. Only the
// choice between replicas depends on it, never a result. Pure: the caller passes the time.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace tutti {

class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  /// An idle worker was given a task.
  void begin(Time now) { since_ = now; }
  /// It answered its oldest task, and continues with the next.
  void answered(Time now) {
    const Seconds took = now - since_;
    task_ = task_ ? *task_ + (took - *task_) / kMemory : took;
    since_ = now;
  }
  /// The coordinator had been stopped: the time until now says nothing.
  void stalled(Time now) { since_ = now; }

  /// Nothing before the first answer.
  std::optional<Seconds> task() const noexcept { return task_; }
  /// When a worker of this pace has answered so many tasks, the first of which it computes now. Before its first answer
  /// it is taken for one that needs `otherwise` for each.
  Time after(std::size_t tasks, Seconds otherwise) const {
    const Seconds needed = static_cast<double>(tasks) * task_.value_or(otherwise);
    return since_ + std::chrono::duration_cast<Time::duration>(needed);
  }

 private:
  /// An answer counts as one of so many.
  static constexpr double kMemory = 4;

  Time since_{};
  std::optional<Seconds> task_;
};

}  // namespace tutti
