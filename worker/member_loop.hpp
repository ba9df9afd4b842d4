// The loop of a ready worker: it takes tasks from its ring, computes directly on the images in the arena (or on the
// member's preprocessed copies), writes predictions and completions, and sleeps when there is nothing to do. It knows
// neither LibTorch nor how the worker was started.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"
#include "common/wire/doorbell.hpp"
#include "common/wire/spawn_contract.hpp"
#include "worker/control_client.hpp"
#include "worker/model.hpp"
#include "worker/preprocess.hpp"

namespace tutti::worker {

/// What the loop works on; all of it must outlive the loop.
struct LoopParts {
  Model& model;
  const MemberRequest& request;
  const control::Start& start;
  const std::byte* arena;  ///< mapped read-only
  Channel& channel;
  Doorbell& task_bell;
  Doorbell& completion_bell;
  ControlClient& control;
  std::array<int, 2> checkpoints{kCheckpointFd, kCheckpointFd + 1};  ///< inherited files, written alternately
};

/// Used only by the computing thread.
class MemberLoop {
 public:
  /// Throws Error(usage) if the member's `input` does not fit the arena.
  explicit MemberLoop(const LoopParts& parts);

  /// Returns when told to stop or when the coordinator is gone. Throws what the model throws.
  void run();

 private:
  bool sleep();  ///< false: leave
  bool obey(const control::Message& message);
  void restore(const control::Restore& restore);
  void perform(const TaskRecord& task);
  void predict(const TaskRecord& task, CompletionRecord& completion);
  void train(const TaskRecord& task, CompletionRecord& completion);
  Trainable& trainable(std::string_view what = "trained");
  std::vector<SlotView<const std::byte>> arrays_of(const TaskRecord& task) const;
  void pick_rows(std::span<const std::uint64_t> numbers);
  void keep_checkpoint(const TaskRecord& task);
  void stamp_progress();

  LoopParts parts_;
  RingConsumer<TaskRecord> tasks_;
  RingProducer<CompletionRecord> completions_;
  Preprocess preprocess_;
  std::uint64_t progress_ = 0;
  std::uint32_t batch_images_;              // what the model expects
  std::optional<SegmentId> trained_up_to_;  // the last segment that the weights were trained on
  std::vector<std::uint32_t> rows_;         // of the segment that is being trained on, with multiplicity
};

}  // namespace tutti::worker
