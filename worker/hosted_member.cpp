#include "worker/hosted_member.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/kill_point.hpp"
#include "common/not_finite.hpp"
#include "common/print_ids.hpp"
#include "common/random.hpp"
#include "worker/checkpoint.hpp"

namespace tutti::worker {

std::uint64_t steady_nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

CompletionRecord completion_of(const TaskRecord& task) {
  return {task.sequence, task.segment, task.generation, task.slot, task.images, task.seat};
}

void note_not_finite(std::span<const float> answers, std::uint32_t width, const TaskSamples& samples,
                     CompletionRecord& completion, std::span<const std::uint32_t> owners) {
  if (const auto place = first_not_finite(answers)) {
    const auto row = static_cast<std::uint32_t>(*place / width);
    completion.status = CompletionStatus::not_finite;
    completion.detail = samples.place_of(owners.empty() ? row : owners[row]);
  }
}

HostedMember::HostedMember(const MemberParts& parts)
    : parts_(parts),
      samples_(parts.request, parts.start.arena, parts.arena),
      batch_images_(parts.request.batch_images) {
  if (parts_.rows == nullptr || !parts_.rows->crops() || !parts_.request.picture) return;
  of_pictures_ = parts_.request;
  of_pictures_->takes = {*parts_.request.picture};
  of_pictures_->fed_rows = 0;
  pictures_.emplace(*of_pictures_, parts_.start.arena, parts_.arena);
}

// ---- commands ------------------------------------------------------------------------------------------------------

void HostedMember::keep_in(std::uint32_t file, UniqueFd descriptor) {
  if (file >= checkpoints_.size() || !descriptor)
    throw std::logic_error(fmt::format("there is no checkpoint file {}", file));
  checkpoints_[file] = std::move(descriptor);
}

void HostedMember::begin_training() {
  trainable().begin_training();
  trained_up_to_.reset();
}

void HostedMember::restore(const control::Restore& restore) {
  if (restore.file >= checkpoints_.size())
    throw std::logic_error(fmt::format("there is no checkpoint file {}", restore.file));
  trained_up_to_ = SegmentId(read_checkpoint(checkpoints_[restore.file].get(), parts_.request, trainable()));
}

void HostedMember::save(const control::Save& save) { trainable("saved").save(save.path); }

// ---- tasks ---------------------------------------------------------------------------------------------------------

CompletionRecord HostedMember::perform(const TaskRecord& task) {
  const bool trains = task.kind == TaskKind::train;
  TUTTI_CHECK(task.seat == parts_.seat);
  TUTTI_CHECK(task.slot.value() < parts_.start.arena.slots);
  TUTTI_CHECK(task.images <= parts_.start.arena.images);
  TUTTI_CHECK(trains || (task.batch_images > 0 && task.batch_images <= parts_.start.arena.images));
  TUTTI_CHECK(task.checkpoint <= checkpoints_.size());
  TUTTI_CHECK(trains || task.checkpoint == 0);
  kill_point("worker.task_popped");
  CompletionRecord completion = completion_of(task);
  completion.begun_nanoseconds = steady_nanoseconds();
  if (trains)
    train(task, completion);
  else
    predict(task, completion);
  completion.written_nanoseconds = steady_nanoseconds();
  completion.busy_nanoseconds = completion.written_nanoseconds - completion.begun_nanoseconds;
  kill_point("worker.answer_written");
  if (task.checkpoint != 0) {
    keep_checkpoint(task);
    completion.written_nanoseconds = steady_nanoseconds();
  }
  return completion;
}

void HostedMember::predict(const TaskRecord& task, CompletionRecord& completion) {
  TUTTI_CHECK((task.feed != 0) == !parts_.request.fed_by.empty(), "a stage is fed, and nobody else is");
  if (const auto fault = samples_.begin(task, task.feed == 0 ? nullptr : &parts_.feeds->at(task.feed))) {
    completion.status = CompletionStatus::bad_feed;
    completion.detail = static_cast<std::uint64_t>(*fault);
    completion.computed_nanoseconds = completion.begun_nanoseconds;
    return;
  }
  if (task.batch_images != batch_images_) parts_.model.expect_batches(batch_images_ = task.batch_images);
  parts_.model.begin_segment(samples_.first_number());
  if (parts_.rows != nullptr) return predict_rows(task, completion);
  const std::span<float> answers = parts_.channel.output(task.slot, task.images, parts_.seat);
  const std::uint32_t width = parts_.channel.layout().width(parts_.seat);
  // Batches never cross a segment, and the cut depends only on its length and the batch size.
  for (std::uint32_t first = 0; first < task.images; first += task.batch_images) {
    const std::uint32_t count = std::min(task.batch_images, task.images - first);
    parts_.model.predict(samples_.batch(first, count), count,
                         answers.subspan(std::size_t{first} * width, std::size_t{count} * width));
    stamp_progress();
    kill_point("worker.batch_done");
  }
  completion.computed_nanoseconds = steady_nanoseconds();
  if (!parts_.start.allow_nan) note_not_finite(answers, width, samples_, completion);
}

/// As predict(), with rows instead of samples.
void HostedMember::predict_rows(const TaskRecord& task, CompletionRecord& completion) {
  RowWork& work = *parts_.rows;
  work.begin(task.images, samples_.counts(), parts_.channel.output(task.slot, task.images, parts_.seat));
  if (pictures_) pictures_->begin(task);
  for (std::uint32_t first = 0; first < samples_.rows(); first += task.batch_images) {
    const std::uint32_t count = std::min(task.batch_images, samples_.rows() - first);
    const Samples samples = samples_.batch(first, count);
    parts_.model.predict(samples, count, work.room(count));
    work.add(count, work.crops() ? pictures(samples, first, count) : nullptr);
    stamp_progress();
    kill_point("worker.batch_done");
  }
  work.end();
  completion.computed_nanoseconds = steady_nanoseconds();
  if (!parts_.start.allow_nan)
    note_not_finite(work.made(), parts_.channel.layout().width(parts_.seat), samples_, completion,
                    owners_of(work.counts()));
  if (work.most_rows() > 0) parts_.channel.write_index(task.slot, work.index(task.segment), parts_.seat);
}

/// Those of a batch, which the first stage of the member takes.
const float* HostedMember::pictures(const Samples& samples, std::uint32_t first, std::uint32_t count) {
  return pictures_ ? pictures_->batch(first, count).floats() : samples.floats();
}

void HostedMember::train(const TaskRecord& task, CompletionRecord& completion) {
  // After a restore some segments come again, but only those after the checkpoint.
  if (trained_up_to_ && task.segment <= *trained_up_to_)
    throw std::logic_error(fmt::format("segment {} came for training after segment {}", task.segment, *trained_up_to_));
  trained_up_to_ = task.segment;
  samples_.begin(task);
  pick_rows(samples_.numbers());
  completion.trained = rows_.size();
  const Samples samples = samples_.batch(0, task.images);
  Trainable& model = trainable();
  for (std::size_t first = 0; first < rows_.size(); first += parts_.request.train_batch_images) {
    const std::size_t count = std::min<std::size_t>(parts_.request.train_batch_images, rows_.size() - first);
    const TrainBatch batch = model.train(samples, samples_.labels(), std::span(rows_).subspan(first, count));
    completion.loss_sum += batch.loss_sum;
    completion.correct += batch.correct;
    stamp_progress();
    kill_point("worker.batch_done");
  }
  completion.computed_nanoseconds = steady_nanoseconds();
  if (!std::isfinite(completion.loss_sum)) completion.status = CompletionStatus::not_finite;
}

// The completion that follows makes the checkpoint valid: see checkpoint.hpp.
void HostedMember::keep_checkpoint(const TaskRecord& task) {
  write_checkpoint(checkpoints_[task.checkpoint - 1].get(), parts_.request, trainable(), task.segment.value());
  kill_point("worker.checkpoint_written");
  stamp_progress();
}

Trainable& HostedMember::trainable(std::string_view what) { return trainable_part(parts_.model, parts_.request, what); }

void HostedMember::pick_rows(std::span<const std::uint64_t> numbers) {
  rows_.clear();
  for (std::uint32_t row = 0; row < numbers.size(); ++row) {
    const std::uint32_t times = parts_.request.bootstrap ? poisson_one(parts_.request.seed, numbers[row]) : 1;
    rows_.insert(rows_.end(), times, row);
  }
}

// The other members of the unit may count at the same time.
void HostedMember::stamp_progress() { parts_.channel.status().progress.fetch_add(1, std::memory_order_release); }

}  // namespace tutti::worker
