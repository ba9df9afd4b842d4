// What an ensemble answers, and who receives it. Plain values; no files (Tutti's own sinks write those).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/error.hpp>

namespace tutti {

/// The answer of one member for a run of images.
struct MemberPredictions {
  std::string name;
  std::uint32_t width = 0;    ///< classes or features per image
  std::vector<float> values;  ///< count x width, row-major
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

/// The ensemble's answer for `count` images.
struct Predictions {
  std::uint64_t count = 0;
  std::uint32_t width = 0;              ///< classes or features per image; 0 with the rule `none`
  std::vector<float> values;            ///< count x width, row-major; empty with the rule `none`
  std::vector<std::int64_t> predicted;  ///< count: the class that the rule decides for; empty over features
  /// In rank order; empty unless asked for (`save_members`, rule `none`). NaN where the member is not in a segment.
  std::vector<MemberPredictions> members;
  std::vector<IncompleteSegment> incomplete;  ///< in order; empty where every member answered every segment
};

/// One member's part of a SegmentResult; the memory is the callee's only during the call.
struct MemberSegmentResult {
  std::uint32_t width = 0;
  std::span<const float> values;  ///< count x width; NaN where it is not present
  bool present = true;            ///< its answer is part of the ensemble's
};

/// The combined answer for one segment: images first .. first + count - 1 of the run.
struct SegmentResult {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t width = 0;                       ///< 0 with the rule `none`
  std::span<const float> values;                 ///< count x width; empty with the rule `none`
  std::span<const std::int64_t> predicted;       ///< count; empty over features
  std::span<const std::int64_t> labels;          ///< count; empty where the source has no labels
  std::span<const MemberSegmentResult> members;  ///< in rank order, all of them
  bool set_aside = false;                        ///< it killed too many workers: values are NaN, predicted -1

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
