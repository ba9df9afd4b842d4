// One run of segments for the samples of several calls: they are read into the same slots, each batch is filled up to
// its full size, and each call gets its own rows. No threads: a driver calls it.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

#include "coordinator/api/prediction.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// The samples of one call. Source and sink outlive the run, or the call leaves it before; the source is one that a
/// FittedSource gives.
struct CallRows {
  Source& source;
  Sink& sink;
};

/// What all runs of a pool have in common.
struct RunSetting {
  std::shared_ptr<const Lineup> lineup;
  TraceRecorder* trace = nullptr;  ///< outlives them; or null
  std::uint32_t batch_images = 1;  ///< of every member
  std::uint32_t most_images = 1;   ///< of a segment: whole batches
};

/// The work for these calls, at least one. If there are several, they have one segment in all: the calls of a segment
/// that cannot be delivered as it is are to be computed again, each in a run of its own, so that what is wrong with one
/// is none of the others' business.
class CoalescedRun final : public Work {
 public:
  CoalescedRun(std::vector<CallRows> calls, const RunSetting& setting);

  bool has_more() const override { return prediction_.has_more(); }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override;
  void deliver(const FinishedSegment& finished) override;
  std::string image_name(std::uint64_t segment, std::uint64_t image) const override {
    return prediction_.image_name(segment, image);
  }

  std::size_t calls() const noexcept { return rows_.calls.size(); }
  bool filled() const noexcept { return filled_; }
  /// Nobody wants the rows of this call any more: they are neither read nor delivered. Its source and sink may go.
  void leave(std::size_t call);
  /// The segment was set aside, or a member's answer for it was dropped: nothing was delivered, and the calls are to be
  /// computed one by one. What the stream throws means the same if there are several calls.
  bool one_by_one() const noexcept { return one_by_one_; }
  /// What the source of this call threw, or its sink; null: nothing. The others of the segment go on.
  std::exception_ptr error_of(std::size_t call) const { return rows_.calls.at(call).error; }

 private:
  struct Call {
    Source* source;       ///< null once it has left
    Sink* sink;           ///< null once it has left
    std::uint64_t begin;  ///< its first row of the run
    std::uint64_t end;
    bool left = false;
    std::exception_ptr error{};
  };
  /// The calls, as one source and one sink.
  struct Rows final : SlotSource, Sink {
    Rows(const std::vector<CallRows>& given, std::uint32_t batch_images);
    std::string name() const override { return "coalesced calls"; }
    ImageShape shape() const override { return {}; }
    std::uint64_t count() const override { return padded; }
    std::uint32_t classes() const override { return 0; }
    bool labelled() const override { return false; }
    void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override;
    std::uint64_t number_of(std::uint64_t index) const override;
    std::string image_name(std::uint64_t index) const override;
    void read_into(std::span<const std::uint64_t> indices, const SlotPlace& place) override;
    void write(const SegmentResult& result) override;
    const Call* call_of(std::uint64_t index) const;

    std::vector<Call> calls;
    std::uint64_t padded = 0;  ///< rows, those that fill the last batch included
  };

  Rows rows_;
  Prediction prediction_;
  bool filled_ = false;
  bool one_by_one_ = false;
};

}  // namespace tutti
