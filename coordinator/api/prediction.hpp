// The work of a prediction run: it fills slots with the images of a source, combines the members' outputs and
// passes the results to a sink. No threads, no processes: a driver calls it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/predictions.hpp>

#include "coordinator/decide/accumulator.hpp"
#include "coordinator/decide/class_axis.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// Source, sink and `trace`, which may be null, outlive it. `outputs`: the sizes of each member's predictions;
/// `combined` of those of the ensemble, nothing with the rule `none`.
class Prediction final : public Work {
 public:
  Prediction(Source& source, Sink& sink, const Accumulator& accumulator, const ByRank<Dims>& outputs,
             const std::optional<ClassAxis>& combined, TraceRecorder* trace = nullptr);

  bool has_more() const override { return next_ < count_; }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override;
  /// A member that is not present has rows of NaN; its channel is not read. If the segment was set aside, or no member
  /// is present, the combined values are NaN and the predicted classes -1.
  void deliver(const FinishedSegment& finished) override;
  std::string image_name(std::uint64_t segment, std::uint64_t image) const override;

 private:
  void write(const SegmentResult& result, const Ledger::Segment& segment, TraceRecorder::Time begin);
  std::span<const float> nan_rows(std::uint32_t images, std::uint32_t width);

  Source& source_;
  Sink& sink_;
  const Accumulator& accumulator_;
  ByRank<std::uint32_t> widths_;  ///< values per prediction
  const std::optional<ClassAxis> combined_;
  TraceRecorder* const trace_;
  const std::uint64_t count_;
  std::uint64_t next_ = 0;       ///< the next image to fill in
  std::uint64_t delivered_ = 0;  ///< images
  std::vector<std::uint64_t> indices_;
  std::byte* arena_ = nullptr;
  ArenaLayout layout_;
  Accumulator::Result result_;  ///< of the segment at hand; its memory is used again
  std::vector<float> nan_;      ///< the rows of a member that is not present
};

}  // namespace tutti
