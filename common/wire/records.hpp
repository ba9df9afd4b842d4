// The records that cross the boundary between coordinator and worker: fixed size, trivially copyable, no pointers.
// Both sides are one build (the handshake checks this), so there is no version inside.
#pragma once

#include <cstdint>
#include <type_traits>

#include "common/ids.hpp"

namespace tutti {

enum class TaskKind : std::uint16_t { predict = 1, train = 2 };

/// "Do segment s." Written by the coordinator for a member that the worker hosts.
struct TaskRecord {
  Sequence sequence{};       ///< number of the task in this worker's generation, from 0
  SegmentId segment{};       ///< number of the segment in the pool's life
  Generation generation{};   ///< which replacement of the worker is meant
  SlotId slot{};             ///< arena slot of the images, and output slot of the answer
  std::uint32_t images = 0;  ///< images to do: those of the segment, or in a later round those that were chosen
  TaskKind kind = TaskKind::predict;
  /// predict: after 0, the images are those that the slot names for this round; see ArenaLayout.
  Round round{};
  /// train: 0, or 1 + the number of the checkpoint file (0 or 1) that the worker writes before the completion.
  std::uint32_t checkpoint = 0;
  /// predict: images at a time; at least 1, and at most those of a slot. The last batch of the segment may be shorter.
  std::uint32_t batch_images = 0;
  Seat seat{};  ///< which member of the worker's unit
  /// The tasks that follow are those of other members of the unit, for the same segment: so many of them.
  std::uint32_t more = 0;
  /// predict: of a stage that computes on what another worker has answered, the number of the `feed` message that said
  /// where that is; 0: on the samples.
  std::uint32_t feed = 0;
  std::uint32_t reserved = 0;
};

enum class CompletionStatus : std::uint32_t {
  done = 1,
  not_finite = 2,  ///< the predictions hold a NaN or infinity, first in image `detail` of the segment
  /// Nothing was computed: the index of the rows that another worker has written for the task is nonsense, for the
  /// reason `detail` (IndexFault). Only of a task that reads rows.
  bad_feed = 3,
};

/// "Done." Written by the worker; the coordinator checks every field before it uses it. The three times are nanoseconds
/// of the steady clock (CLOCK_MONOTONIC, the same for all processes); only the trace uses them, so no value of theirs
/// is a violation.
struct CompletionRecord {
  Sequence sequence{};       ///< of the task
  SegmentId segment{};       ///< of the task
  Generation generation{};   ///< of the task
  SlotId slot{};             ///< of the task
  std::uint32_t images = 0;  ///< of the task
  Seat seat{};               ///< of the task
  CompletionStatus status = CompletionStatus::done;
  std::uint64_t detail = 0;                ///< see CompletionStatus
  std::uint64_t busy_nanoseconds = 0;      ///< time spent computing
  double loss_sum = 0.0;                   ///< train: sum of the loss over `trained` images
  std::uint64_t correct = 0;               ///< train: of these, how many were right
  std::uint64_t trained = 0;               ///< train: images with their multiplicity (bootstrap)
  std::uint64_t begun_nanoseconds = 0;     ///< when the task had been popped
  std::uint64_t computed_nanoseconds = 0;  ///< when the last batch was done
  std::uint64_t written_nanoseconds = 0;   ///< after the check for NaN and the checkpoint, just before the push
};

static_assert(std::is_trivially_copyable_v<TaskRecord> && sizeof(TaskRecord) == 56);
static_assert(std::is_trivially_copyable_v<CompletionRecord> && sizeof(CompletionRecord) == 104);

}  // namespace tutti
