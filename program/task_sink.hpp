// Passes the results of a task on to another sink, shows progress, and records which segments are incomplete.
#pragma once

#include <cstdint>
#include <vector>

#include <tutti/predictions.hpp>

#include "evaluation/scores.hpp"
#include "program/progress.hpp"

namespace tutti::program {

class TaskSink final : public Sink {
 public:
  /// Both outlive it.
  TaskSink(Sink& next, Progress& progress) : next_(next), progress_(progress) {}

  void write(const SegmentResult& result) override {
    next_.write(result);
    incomplete_.note(result);
    images_ += result.count;
    progress_.show(images_);
  }
  const std::vector<IncompleteSegment>& incomplete() const noexcept { return incomplete_.list(); }

 private:
  Sink& next_;
  Progress& progress_;
  IncompleteSegments incomplete_;
  std::uint64_t images_ = 0;
};

}  // namespace tutti::program
