#include "worker/member_loop.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/kill_point.hpp"
#include "common/not_finite.hpp"
#include "common/print_ids.hpp"
#include "common/random.hpp"
#include "common/wire/arena.hpp"
#include "worker/checkpoint.hpp"
#include "worker/failure.hpp"

namespace tutti::worker {
namespace {

std::uint64_t steady_nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// A command that fails does not end the worker: the member is unchanged, and the coordinator decides.
template <class Command>
control::Done done_or_why_not(Command command) {
  try {
    command();
    return {};
  } catch (const std::exception& error) {
    control::Failure failure = failure_of(error);
    return {std::move(failure.text), std::move(failure.hint)};
  }
}

}  // namespace

MemberLoop::MemberLoop(const LoopParts& parts)
    : parts_(parts),
      tasks_(parts.channel.tasks()),
      completions_(parts.channel.completions()),
      preprocess_(parts.request),
      batch_images_(parts.request.batch_images) {}

void MemberLoop::run() {
  for (TaskRecord task;;) {
    switch (tasks_.pop(task)) {
      case RingStatus::ok:
        perform(task);
        break;
      case RingStatus::closed:
        return;
      case RingStatus::corrupt:
        throw std::logic_error("the task ring is corrupt");
      case RingStatus::would_block:
        if (!sleep()) return;
    }
  }
}

// Announces sleep, looks once more, and only then sleeps: see ring.hpp.
bool MemberLoop::sleep() {
  tasks_.park();
  kill_point("worker.parked");
  TaskRecord task;
  const RingStatus status = tasks_.pop(task);
  if (status != RingStatus::would_block) {
    tasks_.unpark();
    if (status == RingStatus::ok) perform(task);
    return true;  // closed and corrupt are permanent: the loop sees them at its next pop
  }
  std::array<pollfd, 2> ends{{{parts_.task_bell.fd(), POLLIN, 0}, {parts_.control.fd(), POLLIN, 0}}};
  while (::poll(ends.data(), ends.size(), -1) < 0 && errno == EINTR) {
  }
  tasks_.unpark();
  parts_.task_bell.silence();
  if (ends[1].revents == 0) return true;
  const auto message = parts_.control.receive();
  return message && obey(*message);
}

bool MemberLoop::obey(const control::Message& message) {
  if (std::holds_alternative<control::Stop>(message)) {
    kill_point("worker.stop_received");
    return false;
  }
  control::Done answer;
  if (std::holds_alternative<control::BeginTraining>(message)) {
    kill_point("worker.begin_training_received");
    trainable().begin_training();
    trained_up_to_.reset();
  } else if (const auto* from = std::get_if<control::Restore>(&message)) {
    kill_point("worker.restore_received");
    answer = done_or_why_not([&] { restore(*from); });
    kill_point("worker.restored");
  } else if (const auto* save = std::get_if<control::Save>(&message)) {
    kill_point("worker.save_received");
    answer = done_or_why_not([&] { trainable("saved").save(save->path); });
    kill_point("worker.saved");
  } else {
    throw std::logic_error("unexpected control message");
  }
  parts_.control.send(answer);
  return true;
}

void MemberLoop::restore(const control::Restore& restore) {
  if (restore.file >= parts_.checkpoints.size())
    throw std::logic_error(fmt::format("there is no checkpoint file {}", restore.file));
  trained_up_to_ = SegmentId(read_checkpoint(parts_.checkpoints[restore.file], parts_.request, trainable()));
}

void MemberLoop::perform(const TaskRecord& task) {
  const bool trains = task.kind == TaskKind::train;
  TUTTI_CHECK(task.slot.value() < parts_.start.arena.slots);
  TUTTI_CHECK(task.images <= parts_.start.arena.images);
  TUTTI_CHECK(trains || (task.batch_images > 0 && task.batch_images <= parts_.start.arena.images));
  TUTTI_CHECK(task.checkpoint <= parts_.checkpoints.size());
  TUTTI_CHECK(trains || task.checkpoint == 0);
  kill_point("worker.task_popped");
  CompletionRecord completion{task.sequence, task.segment, task.generation, task.slot, task.images};
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
  if (completions_.push(completion) != RingStatus::ok) throw std::logic_error("the completion ring is full or corrupt");
  kill_point("worker.completion_pushed");
  if (completions_.consumer_is_parked()) parts_.completion_bell.ring();
  kill_point("worker.bell_rung");
}

/// Those that the member takes.
std::vector<SlotView<const std::byte>> MemberLoop::arrays_of(const TaskRecord& task) const {
  std::vector<SlotView<const std::byte>> arrays;
  for (const TakenTensor& taken : parts_.request.takes)
    arrays.push_back(slot_view(parts_.arena, parts_.start.arena, task.slot, task.images, taken.array));
  return arrays;
}

void MemberLoop::predict(const TaskRecord& task, CompletionRecord& completion) {
  const std::vector<SlotView<const std::byte>> arrays = arrays_of(task);
  const std::span<const std::uint64_t> numbers = arrays.front().numbers;
  const std::span<float> answers = parts_.channel.output(task.slot, task.images);
  const std::uint32_t width = parts_.start.width;
  if (task.batch_images != batch_images_) parts_.model.expect_batches(batch_images_ = task.batch_images);
  parts_.model.begin_segment(numbers.empty() ? 0 : numbers.front());
  // Batches never cross a segment, and the cut depends only on its length and the batch size.
  for (std::uint32_t first = 0; first < task.images; first += task.batch_images) {
    const std::uint32_t count = std::min(task.batch_images, task.images - first);
    parts_.model.predict(preprocess_.samples(arrays, first, count).numbered(numbers.subspan(first, count)), count,
                         answers.subspan(std::size_t{first} * width, std::size_t{count} * width));
    stamp_progress();
    kill_point("worker.batch_done");
  }
  completion.computed_nanoseconds = steady_nanoseconds();
  if (parts_.start.allow_nan) return;
  if (const auto place = first_not_finite(answers)) {
    completion.status = CompletionStatus::not_finite;
    completion.detail = static_cast<std::uint32_t>(*place / width);
  }
}

void MemberLoop::train(const TaskRecord& task, CompletionRecord& completion) {
  // After a restore some segments come again, but only those after the checkpoint.
  if (trained_up_to_ && task.segment <= *trained_up_to_)
    throw std::logic_error(fmt::format("segment {} came for training after segment {}", task.segment, *trained_up_to_));
  trained_up_to_ = task.segment;
  const std::vector<SlotView<const std::byte>> arrays = arrays_of(task);
  pick_rows(arrays.front().numbers);
  completion.trained = rows_.size();
  const Samples samples = preprocess_.samples(arrays, 0, task.images);
  Trainable& model = trainable();
  for (std::size_t first = 0; first < rows_.size(); first += parts_.request.train_batch_images) {
    const std::size_t count = std::min<std::size_t>(parts_.request.train_batch_images, rows_.size() - first);
    const TrainBatch batch = model.train(samples, arrays.front().labels, std::span(rows_).subspan(first, count));
    completion.loss_sum += batch.loss_sum;
    completion.correct += batch.correct;
    stamp_progress();
    kill_point("worker.batch_done");
  }
  completion.computed_nanoseconds = steady_nanoseconds();
  if (!std::isfinite(completion.loss_sum)) completion.status = CompletionStatus::not_finite;
}

// The completion that follows makes the checkpoint valid: see checkpoint.hpp.
void MemberLoop::keep_checkpoint(const TaskRecord& task) {
  write_checkpoint(parts_.checkpoints[task.checkpoint - 1], parts_.request, trainable(), task.segment.value());
  kill_point("worker.checkpoint_written");
  stamp_progress();
}

Trainable& MemberLoop::trainable(std::string_view what) { return trainable_part(parts_.model, parts_.request, what); }

void MemberLoop::pick_rows(std::span<const std::uint64_t> numbers) {
  rows_.clear();
  for (std::uint32_t row = 0; row < numbers.size(); ++row) {
    const std::uint32_t times = parts_.request.bootstrap ? poisson_one(parts_.request.seed, numbers[row]) : 1;
    rows_.insert(rows_.end(), times, row);
  }
}

void MemberLoop::stamp_progress() { parts_.channel.status().progress.store(++progress_, std::memory_order_release); }

}  // namespace tutti::worker
