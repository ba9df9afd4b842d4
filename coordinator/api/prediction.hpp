// The work of a prediction run: it fills slots with the images of a source, combines the members' outputs and
// passes the results to a sink. No threads, no processes: a driver calls it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/predictions.hpp>

#include "coordinator/api/round_answers.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "coordinator/decide/cascade.hpp"
#include "coordinator/decide/class_axis.hpp"
#include "coordinator/decide/lineup.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// Source, sink and `trace`, which may be null, outlive it. `lineup`: the members that answer it; with a cascade, those
/// of the description in rank order. `most`: images of a segment, if those of a slot are not meant.
class Prediction final : public Work {
 public:
  Prediction(Source& source, Sink& sink, std::shared_ptr<const Lineup> lineup, TraceRecorder* trace = nullptr,
             Cascade cascade = {}, std::uint32_t most = std::numeric_limits<std::uint32_t>::max());

  bool has_more() const override { return next_ < count_; }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override;
  /// Writes the places of the samples that are doubtful into the slot. If none of the members that decide is present,
  /// every sample is.
  std::optional<NextRound> judge(const FinishedSegment& answered) override;
  /// A member that is not present has rows of NaN; its channel is not read. If the segment was set aside, or no member
  /// is present, the combined values are NaN and the predicted classes -1. With a cascade each sample is combined from
  /// the members that were asked for it.
  void deliver(const FinishedSegment& finished) override;
  std::string image_name(std::uint64_t segment, std::uint64_t image) const override;

 private:
  std::uint32_t segment_images() const { return std::min(layout_.images, most_); }
  void write(const SegmentResult& result, const Ledger::Segment& segment, TraceRecorder::Time begin);
  std::span<const float> nan_rows(std::uint32_t images, std::uint32_t width);
  std::size_t members() const { return lineup_->members.size(); }
  Rank rank_of(std::size_t member) const { return lineup_->members[member].rank; }
  const Accumulator& accumulator() const { return lineup_->accumulator; }
  ClassAxis axis() const { return lineup_->combined.value_or(ClassAxis::of_row(0)); }
  void combine_all(const FinishedSegment& finished);
  bool combine_by_rounds(const FinishedSegment& finished);
  void combine_some(const std::vector<bool>& present, std::span<const std::uint32_t> samples,
                    Accumulator::Result& result);
  MemberSegmentResult of_member(const FinishedSegment& finished, std::size_t m);

  Source& source_;
  Sink& sink_;
  const std::shared_ptr<const Lineup> lineup_;
  const Cascade cascade_;
  std::vector<std::uint32_t> widths_;  ///< values per prediction; this and what follows by place in the lineup
  TraceRecorder* const trace_;
  const std::uint64_t count_;
  const std::uint32_t most_;
  std::uint64_t next_ = 0;       ///< the next image to fill in
  std::uint64_t delivered_ = 0;  ///< images
  std::vector<std::uint64_t> indices_;
  std::byte* arena_ = nullptr;
  ArenaLayout layout_;
  Accumulator::Result result_;  ///< of the segment at hand; its memory is used again
  std::vector<float> nan_;      ///< the rows of a member that is not present
  // With a cascade.
  RoundAnswers answers_;
  Accumulator::Result some_;                  ///< of the samples that were asked for in the same rounds
  std::vector<std::vector<float>> gathered_;  ///< the answers for these
  std::vector<std::vector<float>> rows_;      ///< of a member that was not asked for all
  std::vector<std::vector<std::uint8_t>> asked_;
};

}  // namespace tutti
