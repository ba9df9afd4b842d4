// A sink that measures how good the predictions of every member and of the ensemble are, shows progress, and passes the
// results on to another sink.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <tutti/predictions.hpp>

#include "config/spec.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/scores.hpp"
#include "evaluation/watcher.hpp"

namespace tutti {

/// Scores of the members that other code computes; null: the scoreboard computes them.
struct ScoredMembers {
  const std::vector<MaybeMetrics>* classes = nullptr;
  const LabelScores* labels = nullptr;  ///< if the predictions are not one class per image
};

class Scoreboard final : public Sink {
 public:
  /// `next` may be null. `scored` is as in Scores. `members` are scored by `next` or a sink after it. `labels` is for
  /// predictions that are not one class per image. All of them outlive it.
  Scoreboard(const config::CombineSpec& combine, bool scored, LabelScores& labels, ShownImages& progress, Sink* next,
             const ScoredMembers& members);

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
  std::optional<images::Figures> ensemble_figures() const { return labels_.ensemble(); }
  /// In rank order; empty if there are none.
  std::vector<images::Figures> member_figures() const {
    return (elsewhere_ != nullptr ? *elsewhere_ : labels_).members();
  }

 private:
  Scores scores_;
  LabelScores& labels_;
  const LabelScores* elsewhere_;
  ShownImages& progress_;
  Sink* next_;
  std::uint64_t images_ = 0;
};

}  // namespace tutti
