// A sink that measures how good the predictions of every member and of the ensemble are, shows progress, and passes the
// results on to another sink.
#pragma once

#include <cstdint>
#include <vector>

#include <tutti/predictions.hpp>

#include "config/spec.hpp"
#include "program/label_scores.hpp"
#include "program/progress.hpp"
#include "program/scores.hpp"

namespace tutti::program {

class Scoreboard final : public Sink {
 public:
  /// `next` may be null. `scored` and `members`, which may be null, are as in Scores, and `next` or a sink after it
  /// computes them. `labels` is for predictions that are not one class per image. All of them outlive it.
  Scoreboard(const config::CombineSpec& combine, bool scored, LabelScores& labels, Progress& progress, Sink* next,
             const std::vector<MaybeMetrics>* members);

  /// add(), then show().
  void write(const SegmentResult& result) override;
  /// Passes a segment on, and scores it.
  void add(const SegmentResult& result);
  /// Shows the progress so far.
  void show() { progress_.show(images_); }
  /// The sums of the segment of the last write(), which every member predicted.
  void write_segment(images::SumWriter& out) const;
  /// Counts a segment that was written before. `result` tells its size and the widths of its predictions, and its
  /// values are not read. Nothing is passed on. Throws SumMisfit.
  void read_segment(const SegmentResult& result, images::SumReader& in);

  std::uint64_t images() const noexcept { return images_; }
  // As in Scores.
  const MaybeMetrics& ensemble() const noexcept { return scores_.ensemble(); }
  const std::vector<MaybeMetrics>& members() const noexcept { return scores_.members(); }
  const std::vector<IncompleteSegment>& incomplete() const noexcept { return scores_.incomplete(); }
  const LabelScores& labels() const noexcept { return labels_; }

 private:
  Scores scores_;
  LabelScores& labels_;
  Progress& progress_;
  Sink* next_;
  std::uint64_t images_ = 0;
};

}  // namespace tutti::program
