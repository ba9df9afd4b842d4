// What a stage does about rows (common/wire/rows.hpp): it computes on several rows of a sample, makes several of one
// (crop_boxes), or one of several (reduce). The member gives it the rows that its model has made, batch by batch, and
// gets the rows to hand over and how many of them each sample has. It knows neither models nor rings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/wire/channel.hpp"
#include "common/wire/member_request.hpp"
#include "common/wire/rows.hpp"
#include "worker/box_crops.hpp"
#include "worker/preprocess.hpp"
#include "worker/steps.hpp"

namespace tutti::worker {

/// The tensor whose parts crop_boxes makes rows of.
const TensorLayout& picture_of(const MemberRequest& request);

/// The values of rows, value by value, become those of one. `width` values each; of no rows: step.empty.
void reduce_rows(const ReduceStep& step, std::span<const float> rows, std::span<float> to);

/// For tests: the index that this process writes next is nonsense.
void spoil_next_index();

/// One thread.
class RowWork {
 public:
  /// Whether the member computes on several rows of a sample, or makes several of one.
  static bool is_needed(const MemberRequest& request);

  /// `made`: the sizes of what the model makes of a row, with the steps up to the first that changes their number.
  /// Throws Error(usage) if a step does not fit it, or is out of place.
  RowWork(const MemberRequest& request, const Dims& made);

  /// Of a row.
  const Dims& output() const noexcept { return behind_.output(); }
  /// The most rows of a sample that it hands over; 0: one, without an index.
  std::uint32_t most_rows() const noexcept { return most_; }
  /// Whether it wants the pictures of the samples.
  bool crops() const noexcept { return crops_.has_value(); }

  /// What follows is about a task of so many samples. `counts`: the rows of each that the model computes on; empty:
  /// one. `output` has room for the most rows of all of them.
  void begin(std::uint32_t samples, std::span<const std::uint32_t> counts, std::span<float> output);
  /// Where what the model makes of the next `count` rows is to be written.
  std::span<float> room(std::uint32_t count);
  /// They are written. `pictures`: of their samples, one after another, if it crops.
  void add(std::uint32_t count, const float* pictures);
  /// All of them are.
  void end();

  /// After end(): the rows of each sample, which are at the beginning of `output`.
  const std::vector<std::uint32_t>& counts() const noexcept { return counts_; }
  /// All of them.
  std::span<const float> made() const;
  /// The index that goes with them.
  RowIndex index(SegmentId segment) const;

 private:
  void add_crops(std::uint32_t count, const float* pictures);
  void reduce();

  std::size_t made_width_;
  std::size_t at_;  ///< the step that changes the number of rows; their number: none
  std::uint32_t most_;
  std::optional<BoxCrops> crops_{};
  std::optional<ReduceStep> reduce_{};
  StepChain behind_;  ///< the steps behind that one
  std::uint32_t samples_ = 0;
  std::span<const std::uint32_t> taken_{};  ///< the rows of each sample that the model computes on
  std::span<float> output_{};
  std::size_t rows_ = 0;  ///< added so far
  std::vector<std::uint32_t> counts_{};
  std::size_t sum_ = 0;            ///< of counts_
  AlignedFloats before_{};         ///< what the model has made: of a batch of boxes, or of all rows of a task
  std::vector<PixelBox> boxes_{};  ///< of a batch
};

}  // namespace tutti::worker
