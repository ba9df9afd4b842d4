// What a worker does for a unit whose members are fused: one model computes all of them, and each has its predictions
// and its completions on its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"
#include "worker/model.hpp"
#include "worker/task_samples.hpp"

namespace tutti::worker {

/// Used by one thread.
class FusedMembers {
 public:
  /// `model`: its prediction is {members, classes}. `request` is that of the first member: all see the same samples.
  /// All of it must outlive the members.
  FusedMembers(Model& model, const MemberRequest& request, const control::Start& start, const std::byte* arena,
               Channel& channel);

  /// Carries out the tasks of one segment, for some or all of the members, and returns their completions, whose answers
  /// are written. Throws what the model throws.
  std::vector<CompletionRecord> perform(std::span<const TaskRecord> tasks);

 private:
  void keep(std::span<const TaskRecord> tasks, std::uint32_t first, std::uint32_t count);

  Model& model_;
  const control::Start& start_;
  Channel& channel_;
  TaskSamples samples_;
  std::uint32_t batch_images_;  // what the model expects
  std::vector<float> rows_;     // of a batch: [count, members, classes]
};

}  // namespace tutti::worker
