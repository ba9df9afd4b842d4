// How long a replica takes for a segment, by its answers so far, and so when it will have answered what it has. Only
// the choice between replicas depends on it, never a result. Pure: the caller passes the time.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace tutti {

class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  /// An idle worker was given a segment.
  void begin(Time now) { since_ = now; }
  /// It has answered its oldest segment, for all members of its unit, and continues with the next.
  void answered(Time now) {
    const Seconds took = now - since_;
    segment_ = segment_ ? *segment_ + (took - *segment_) / kMemory : took;
    since_ = now;
  }
  /// The coordinator had been stopped: the time until now says nothing.
  void stalled(Time now) { since_ = now; }

  /// Nothing before the first answer.
  std::optional<Seconds> segment() const noexcept { return segment_; }
  /// When a worker of this pace has answered so many segments, the first of which it computes now. Before its first
  /// answer it is taken for one that needs `otherwise` for each.
  Time after(std::size_t segments, Seconds otherwise) const {
    const Seconds needed = static_cast<double>(segments) * segment_.value_or(otherwise);
    return since_ + std::chrono::duration_cast<Time::duration>(needed);
  }

 private:
  /// An answer counts as one of so many.
  static constexpr double kMemory = 4;

  Time since_{};
  std::optional<Seconds> segment_;
};

}  // namespace tutti
