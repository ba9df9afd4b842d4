// How accurate the predictions of a run are, and which of its images lack members. It collects segment by segment; it
// prints nothing and knows no processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <tutti/predictions.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "results/metrics.hpp"

namespace tutti {

/// Collects the segments that some members did not predict. Neighbouring segments that lack the same members become one
/// entry, so a member that is absent for good does not make the list longer. A segment that was set aside is a separate
/// entry. A value.
class IncompleteSegments {
 public:
  void note(const SegmentResult& result);
  /// In order; empty if every member predicted everything.
  const std::vector<IncompleteSegment>& list() const noexcept { return list_; }

 private:
  std::vector<IncompleteSegment> list_;
};

/// How good the predictions of a model, or of the members under a rule, are. Nothing without labels, and over features
/// without a head.
using MaybeMetrics = std::optional<images::Metrics>;

// The sums of one segment (results/segment_sums.hpp), if there are any. read_segment() makes metrics of `classes` if
// there are none yet.
void begin_segment(MaybeMetrics& metrics);
void write_segment(const MaybeMetrics& metrics, images::SumWriter& out);
void read_segment(MaybeMetrics& metrics, std::uint32_t classes, images::SumReader& in);

/// The form of the scores that this combination outputs; not over features.
images::ScoreKind score_kind(const config::CombineSpec& combine);

/// Whether labels say how good predictions of these sizes are: there is a score for each class of which one is right.
bool has_scores(const config::CombineSpec& combine, const std::vector<MemberStatus>& members);

/// The class with the largest of each image's `classes` scores.
std::vector<std::int64_t> decided(std::span<const float> scores, std::uint32_t images, std::uint32_t classes);

/// Accuracy and loss, collected segment by segment. Images that a member did not predict do not count for that member,
/// and images without any prediction do not count for the ensemble. A value, except for what it was constructed from,
/// which outlives it.
class Scores {
 public:
  /// `members`: scores of the members that other code computes, which gets every segment first; null: the members are
  /// scored here.
  /// `scored`: whether there are scores of classes of which one is right for each image.
  explicit Scores(const config::CombineSpec& combine, bool scored, const std::vector<MaybeMetrics>* members = nullptr)
      : combine_(combine), scored_(scored), elsewhere_(members) {}

  void add(const SegmentResult& result);
  /// The sums of the segment of the last add(), which every member predicted.
  void write_segment(images::SumWriter& out) const;
  /// Adds a segment that was written. `result` tells the widths of its predictions, and its values are not read. Throws
  /// SumMisfit.
  void read_segment(const SegmentResult& result, images::SumReader& in);

  /// Nothing without labels, over features, or before the first image.
  const MaybeMetrics& ensemble() const noexcept { return ensemble_; }
  const std::vector<MaybeMetrics>& members() const noexcept { return elsewhere_ != nullptr ? *elsewhere_ : members_; }
  /// In order; empty if every member predicted everything.
  const std::vector<IncompleteSegment>& incomplete() const noexcept { return incomplete_.list(); }

 private:
  void score_member(std::size_t rank, const SegmentResult& result);
  void score_ensemble(const SegmentResult& result);

  const config::CombineSpec& combine_;
  const bool scored_;
  const std::vector<MaybeMetrics>* elsewhere_;
  MaybeMetrics ensemble_;
  std::vector<MaybeMetrics> members_;
  IncompleteSegments incomplete_;
};

}  // namespace tutti
