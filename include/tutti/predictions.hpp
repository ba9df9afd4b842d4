// The predictions of an ensemble, and the interface that receives them. Plain values; no files (Tutti's own sinks write
// those).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

/// The predictions of one member for a run of images.
struct MemberPredictions {
  std::string name;           ///< of the member
  Dims shape;                 ///< of one prediction: {classes}, {classes, height, width} of a mask, none of a number
  std::uint32_t width = 0;    ///< values per prediction: the product of these
  std::vector<float> values;  ///< count x shape, row-major
};

/// A segment whose answer is not that of all members. In reports an entry may stand for several in a row that lack the
/// same members.
struct IncompleteSegment {
  std::uint64_t first = 0;            ///< its first image
  std::uint64_t count = 0;            ///< images
  std::uint32_t members_present = 0;  ///< members whose answers are in it
  std::vector<std::size_t> absent;    ///< ranks of the members whose answers are not, ascending
  bool set_aside = false;             ///< it killed too many workers: its rows are NaN, its predicted classes -1
  friend bool operator==(const IncompleteSegment&, const IncompleteSegment&) = default;
};

/// The ensemble's predictions for `count` images.
struct Predictions {
  std::uint64_t count = 0;    ///< images, or inputs that were cut into tiles
  Dims shape;                 ///< of one prediction: {classes}, {classes, height, width} of a mask, none of a number
  std::uint32_t width = 0;    ///< values per prediction: the product of these; 0 with the rule `none`
  std::vector<float> values;  ///< count x shape, row-major; empty with the rule `none`

  /// The classes that the rule decides for: count x shape without the axis of the classes. Empty where there is nothing
  /// to decide: over features and values, and with `activation: sigmoid`.
  std::vector<std::int64_t> predicted;
  Dims predicted_shape;  /**< of one prediction's classes: none as a rule, {height, width} of a mask */
  /// How far the members are apart, if `combine` has `spread: true`: count x spread_shape. Over probabilities of which
  /// one class is right, the entropy of their mean; these have the shape of `predicted`. Otherwise the variance of each
  /// value. NaN where no member predicted.
  std::vector<float> spread;
  Dims spread_shape;  ///< of one prediction

  /// In rank order; empty unless asked for (`save_members`, rule `none`). NaN if the member is not in a segment.
  std::vector<MemberPredictions> members;
  /// In order; empty if every member predicted every segment. With `tiles` a segment consists of tiles.
  std::vector<IncompleteSegment> incomplete;
};

/// One member's part of a SegmentResult; the memory is valid only during the call.
struct MemberSegmentResult {
  std::uint32_t width = 0;        ///< values per prediction
  std::span<const float> values;  ///< count x width; NaN if it is not present, and where it was not asked
  bool present = true;            ///< its predictions are part of the ensemble's

  /// With a cascade, of a member that is asked only for some samples: which, 1 or 0 for each. Empty: for all.
  std::span<const std::uint8_t> asked{};
};

/// The combined predictions for one segment: images first .. first + count - 1 of the run.
struct SegmentResult {
  std::uint64_t first = 0;                       ///< its first image
  std::uint32_t count = 0;                       ///< images
  std::uint32_t width = 0;                       ///< values per prediction; 0 with the rule `none`
  std::span<const float> values;                 ///< count x width; empty with the rule `none`
  std::span<const std::int64_t> predicted;       ///< as in Predictions; empty where nothing is decided
  std::span<const float> spread;                 ///< as in Predictions; empty unless it was asked for
  std::span<const std::int64_t> labels;          ///< count; empty if the source has no labels
  std::span<const MemberSegmentResult> members;  ///< in rank order, all of them
  bool set_aside = false;                        ///< it killed too many workers: values are NaN, predicted -1

  /// Classes that are decided for per prediction: 1 as a rule, one per pixel of a mask.
  std::uint32_t decisions() const { return count == 0 ? 0 : static_cast<std::uint32_t>(predicted.size() / count); }
  /// Numbers of the spread per prediction.
  std::uint32_t spread_width() const { return count == 0 ? 0 : static_cast<std::uint32_t>(spread.size() / count); }
  /// Members whose predictions are in it.
  std::uint32_t members_present() const {
    std::uint32_t present = 0;
    for (const MemberSegmentResult& member : members) present += member.present ? 1 : 0;
    return present;
  }
  /// What it lacks; nothing if it is whole.
  std::optional<IncompleteSegment> incomplete() const {
    IncompleteSegment lacks{first, count, members_present(), {}, set_aside};
    for (std::size_t rank = 0; rank < members.size(); ++rank)
      if (!members[rank].present) lacks.absent.push_back(rank);
    if (lacks.absent.empty() && !set_aside) return std::nullopt;
    return lacks;
  }
};

/// Receives the results of a run, in segment order, on the thread that called Ensemble::run.
class TUTTI_API Sink {
 public:
  virtual ~Sink() = default;
  /// May throw: the run then ends, and the exception leaves Ensemble::run.
  virtual void write(const SegmentResult& result) = 0;
};

}  // namespace tutti
