// What a worker does for one member of its unit: it computes a task directly on the images in the arena (or on the
// member's preprocessed copies), and writes predictions and checkpoints. It knows neither LibTorch nor rings.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/unique_fd.hpp"
#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"
#include "worker/feeds.hpp"
#include "worker/model.hpp"
#include "worker/row_work.hpp"
#include "worker/task_samples.hpp"

namespace tutti::worker {

std::uint64_t steady_nanoseconds();
/// Of a task that is not done yet.
CompletionRecord completion_of(const TaskRecord& task);
/// Notes the first prediction that has a NaN or infinity, if there is one. `owners`: by row, the sample of the task
/// that it belongs to; empty: there is one for each.
void note_not_finite(std::span<const float> answers, std::uint32_t width, const TaskSamples& samples,
                     CompletionRecord& completion, std::span<const std::uint32_t> owners = {});

/// What a member works with; all of it must outlive the member.
struct MemberParts {
  Model& model;
  const MemberRequest& request;
  const control::Start& start;
  const std::byte* arena;  ///< mapped read-only
  Channel& channel;
  Seat seat{};
  const Feeds* feeds = nullptr;  ///< of a stage that computes on what another has answered
  RowWork* rows = nullptr;       ///< of a stage whose samples have, or get, several rows
};

/// Used by one thread: the one that computes for the member.
class HostedMember {
 public:
  /// Throws Error(usage) if the member's `input` does not fit the arena.
  explicit HostedMember(const MemberParts& parts);

  /// Carries the task out and returns its completion, whose answers and checkpoint are written. Throws what the model
  /// throws.
  CompletionRecord perform(const TaskRecord& task);

  // ---- commands
  /// Its checkpoints go to these two files, alternately.
  void keep_in(std::uint32_t file, UniqueFd descriptor);
  void begin_training();
  void restore(const control::Restore& restore);
  void save(const control::Save& save);

 private:
  void predict(const TaskRecord& task, CompletionRecord& completion);
  void predict_rows(const TaskRecord& task, CompletionRecord& completion);
  const float* pictures(const Samples& samples, std::uint32_t first, std::uint32_t count);
  void train(const TaskRecord& task, CompletionRecord& completion);
  Trainable& trainable(std::string_view what = "trained");
  void pick_rows(std::span<const std::uint64_t> numbers);
  void keep_checkpoint(const TaskRecord& task);
  void stamp_progress();

  MemberParts parts_;
  std::array<UniqueFd, 2> checkpoints_{};  // of one that is trained
  TaskSamples samples_;
  std::optional<MemberRequest> of_pictures_{};  // what takes only the pictures, if `samples_` are something else
  std::optional<TaskSamples> pictures_{};
  std::uint32_t batch_images_;              // what the model expects
  std::optional<SegmentId> trained_up_to_;  // the last segment that the weights were trained on
  std::vector<std::uint32_t> rows_;         // of the segment that is being trained on, with multiplicity
};

}  // namespace tutti::worker
