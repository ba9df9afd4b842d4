// How well a run's answers hit their labels, and which of its images lack members. It gathers from segment to segment;
// it prints nothing and knows no processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <tutti/predictions.hpp>

#include "config/spec.hpp"
#include "results/metrics.hpp"

namespace tutti::program {

/// Gathers the segments whose answer is not that of all members. Neighbouring segments that lack the same members are
/// one entry, so that a member that is lost for good makes the list no longer; a segment that was set aside is an entry
/// by itself. A value.
class IncompleteSegments {
 public:
  void note(const SegmentResult& result);
  /// In order; empty where every member answered everything.
  const std::vector<IncompleteSegment>& list() const noexcept { return list_; }

 private:
  std::vector<IncompleteSegment> list_;
};

/// How good the answers of a model, or of the members under a rule, are. Nothing without labels, and over features
/// without a head.
using MaybeMetrics = std::optional<images::Metrics>;

/// What the scores of an answer are that was combined so; not over features.
images::ScoreKind score_kind(const config::CombineSpec& combine);

/// The class with the largest of each image's `classes` scores.
std::vector<std::int64_t> decided(std::span<const float> scores, std::uint32_t images, std::uint32_t classes);

/// Accuracy and loss, gathered from segment to segment. Images that a member did not answer do not count for it, those
/// without any answer not for the ensemble. A value, but for what it is made of, which outlives it.
class Scores {
 public:
  /// `members`: what somebody else finds of the members, who is handed every segment before; null: nobody does, and
  /// each is scored here.
  explicit Scores(const config::CombineSpec& combine, const std::vector<MaybeMetrics>* members = nullptr)
      : combine_(combine), elsewhere_(members) {}

  void add(const SegmentResult& result);

  /// Nothing without labels, over features, or before the first image.
  const MaybeMetrics& ensemble() const noexcept { return ensemble_; }
  const std::vector<MaybeMetrics>& members() const noexcept { return elsewhere_ != nullptr ? *elsewhere_ : members_; }
  /// In order; empty where every member answered everything.
  const std::vector<IncompleteSegment>& incomplete() const noexcept { return incomplete_.list(); }

 private:
  void score_member(std::size_t rank, const SegmentResult& result);
  void score_ensemble(const SegmentResult& result);

  const config::CombineSpec& combine_;
  const std::vector<MaybeMetrics>* elsewhere_;
  MaybeMetrics ensemble_;
  std::vector<MaybeMetrics> members_;
  IncompleteSegments incomplete_;
};

}  // namespace tutti::program
