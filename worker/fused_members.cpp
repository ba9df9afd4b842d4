#include "worker/fused_members.hpp"

#include <algorithm>

#include "common/check.hpp"
#include "common/clock.hpp"
#include "common/kill_point.hpp"
#include "common/not_finite.hpp"
#include "worker/hosted_member.hpp"

namespace tutti::worker {

FusedMembers::FusedMembers(Model& model, const MemberRequest& request, const control::Start& start,
                           const std::byte* arena, Channel& channel)
    : model_(model),
      start_(start),
      channel_(channel),
      samples_(request, start.arena, arena),
      batch_images_(request.batch_images) {}

std::vector<CompletionRecord> FusedMembers::perform(std::span<const TaskRecord> tasks) {
  const TaskRecord& common = tasks.front();
  for (const TaskRecord& task : tasks) {
    TUTTI_CHECK(task.kind == TaskKind::predict);
    TUTTI_CHECK(task.segment == common.segment && task.slot == common.slot);
    TUTTI_CHECK(task.images == common.images && task.round == common.round);
    TUTTI_CHECK(task.batch_images > 0 && task.batch_images == common.batch_images);
    TUTTI_CHECK(task.seat.value() < channel_.layout().seats());
  }
  kill_point("worker.task_popped");
  const std::uint64_t begun = steady_nanoseconds();
  samples_.begin(common);
  if (common.batch_images != batch_images_) model_.expect_batches(batch_images_ = common.batch_images);
  for (std::uint32_t first = 0; first < common.images; first += common.batch_images) {
    const std::uint32_t count = std::min(common.batch_images, common.images - first);
    rows_.resize(count * elements_of(model_.output()));
    model_.predict(samples_.batch(first, count), count, rows_);
    keep(tasks, first, count);
    channel_.status().progress.fetch_add(1, std::memory_order_release);
    kill_point("worker.batch_done");
  }
  const std::uint64_t computed = steady_nanoseconds();
  std::vector<CompletionRecord> completions;
  for (const TaskRecord& task : tasks) {
    CompletionRecord completion = completion_of(task);
    if (!start_.allow_nan)
      note_not_finite(channel_.output(task.slot, task.images, task.seat), channel_.layout().width(task.seat), samples_,
                      completion);
    completion.begun_nanoseconds = begun;
    completion.computed_nanoseconds = computed;
    completion.written_nanoseconds = steady_nanoseconds();
    completion.busy_nanoseconds = (completion.written_nanoseconds - begun) / tasks.size();  // its share
    completions.push_back(completion);
  }
  kill_point("worker.answer_written");
  return completions;
}

/// Copies the rows of the members that are asked to their output slots.
void FusedMembers::keep(std::span<const TaskRecord> tasks, std::uint32_t first, std::uint32_t count) {
  const std::size_t row = rows_.size() / count;
  for (const TaskRecord& task : tasks) {
    const std::size_t width = channel_.layout().width(task.seat);
    TUTTI_CHECK(width * channel_.layout().seats() == row, "the members are equal");
    float* to = channel_.output(task.slot, task.images, task.seat).data() + first * width;
    const float* from = rows_.data() + task.seat.value() * width;
    for (std::uint32_t sample = 0; sample < count; ++sample, to += width, from += row) std::copy_n(from, width, to);
  }
}

}  // namespace tutti::worker
