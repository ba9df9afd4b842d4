// Passes the results of a task on to another sink, shows progress, and records which segments are incomplete.
#pragma once

#include <cstdint>
#include <vector>

#include <tutti/predictions.hpp>

#include "evaluation/scores.hpp"
#include "evaluation/watcher.hpp"

namespace tutti {

class WatchedSink final : public Sink {
 public:
  /// Both outlive it.
  WatchedSink(Sink& next, ShownImages& shown) : next_(next), shown_(shown) {}

  void write(const SegmentResult& result) override {
    next_.write(result);
    incomplete_.note(result);
    shown_.show(images_ += result.count);
  }
  const std::vector<IncompleteSegment>& incomplete() const noexcept { return incomplete_.list(); }

 private:
  Sink& next_;
  ShownImages& shown_;
  IncompleteSegments incomplete_;
  std::uint64_t images_ = 0;
};

}  // namespace tutti
