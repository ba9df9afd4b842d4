// The samples of a task, as the member sees them: all samples of the segment in place, or those that a later round of a
// cascade asks for, which are put together batch by batch; or the rows that another stage has made of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/wire/arena.hpp"
#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"
#include "common/wire/member_request.hpp"
#include "common/wire/records.hpp"
#include "worker/preprocess.hpp"

namespace tutti::worker {

/// One thread. Request and arena outlive it.
class TaskSamples {
 public:
  /// Throws Error(usage) if the member's `input` does not fit the arena.
  TaskSamples(const MemberRequest& request, const ArenaLayout& layout, const std::byte* arena);

  /// What follows is about this task. `fed`: the samples are what these outputs hold for it; null: those of the arena.
  /// If an index counts their rows, it is copied and checked; what is wrong with it is returned, and then nothing else
  /// may be asked about the task.
  std::optional<IndexFault> begin(const TaskRecord& task, const ChannelOutputs* fed = nullptr);
  /// How many rows there are: one for each sample of the task, unless an index counts them.
  std::uint32_t rows() const { return rows_; }
  /// By sample of the task; empty: one each.
  std::span<const std::uint32_t> counts() const { return index_.counts; }
  /// Rows `first` to `first + count - 1` of the task, with the numbers of their samples. Valid until the next call.
  Samples batch(std::uint32_t first, std::uint32_t count);
  /// The number of the segment's first sample in its source.
  std::uint64_t first_number() const;
  /// Of the segment's samples; only if the task is for all of them.
  std::span<const std::int64_t> labels() const { return arrays_.front().labels; }
  std::span<const std::uint64_t> numbers() const { return arrays_.front().numbers; }
  /// Which sample of the segment this sample of the task is.
  std::uint32_t place_of(std::uint32_t sample) const { return chosen_.empty() ? sample : chosen_[sample]; }

 private:
  std::span<const std::uint64_t> numbers_of(std::uint32_t first, std::uint32_t count);

  const MemberRequest& request_;
  const ArenaLayout& layout_;
  const std::byte* const arena_;
  Preprocess preprocess_;
  std::vector<SlotView<const std::byte>> arrays_;  // of the segment's slot
  std::span<const std::uint32_t> chosen_;          // empty: all
  bool fed_ = false;                               // by another stage, which has put the chosen ones together
  std::uint32_t rows_ = 0;
  RowIndex index_;                                 // of what feeds it, checked; no counts: one row for each sample
  std::vector<std::uint32_t> owners_{};            // by row, if there is an index: its sample
  std::vector<AlignedFloats> gathered_;            // by array
  std::vector<std::uint64_t> numbers_;             // of what is gathered
};

}  // namespace tutti::worker
