#include "worker/member_loop.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <optional>
#include <stdexcept>

#include <tutti/error.hpp>

#include "common/arena.hpp"
#include "common/random.hpp"

namespace tutti::worker {
namespace {

/// The first image of `answers` (rows of `width`) with a value that is not finite.
std::optional<std::uint32_t> first_not_finite(std::span<const float> answers, std::uint32_t width) {
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (!std::isfinite(answers[i])) return static_cast<std::uint32_t>(i / width);
  return std::nullopt;
}

}  // namespace

MemberLoop::MemberLoop(const LoopParts& parts)
    : parts_(parts), tasks_(parts.channel.tasks()), completions_(parts.channel.completions()) {}

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
  TaskRecord task;
  const RingStatus status = tasks_.pop(task);
  if (status != RingStatus::would_block) {
    tasks_.unpark();
    if (status == RingStatus::ok) perform(task);
    return true;  // closed and corrupt stay so: the loop sees it at its next look
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
  if (std::holds_alternative<control::Stop>(message)) return false;
  if (std::holds_alternative<control::BeginTraining>(message)) {
    parts_.model.begin_training();
    parts_.control.send(control::Done{});
  } else if (const auto* save = std::get_if<control::Save>(&message)) {
    parts_.control.send(saved(*save));
  } else {
    throw std::logic_error("a control message came that does not belong here");
  }
  return true;
}

// A file that cannot be written is no reason to die: what was learnt is still here, and the other members save theirs.
control::Done MemberLoop::saved(const control::Save& save) {
  try {
    parts_.model.save(save.path);
    return {};
  } catch (const Error& error) {
    return {error.detail().empty() ? error.message() : error.message() + ": " + error.detail(), error.hint()};
  } catch (const std::exception& error) {
    return {error.what(), {}};
  }
}

void MemberLoop::perform(const TaskRecord& task) {
  assert(task.slot < parts_.start.arena.slots && task.images <= parts_.start.arena.images);
  CompletionRecord completion{task.sequence, task.segment, task.generation, task.slot, task.images};
  const auto begin = std::chrono::steady_clock::now();
  if (task.kind == TaskKind::train)
    train(task, completion);
  else
    predict(task, completion);
  const auto busy = std::chrono::steady_clock::now() - begin;
  completion.busy_nanoseconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(busy).count());
  if (completions_.push(completion) != RingStatus::ok) throw std::logic_error("the completion ring is full or corrupt");
  if (completions_.consumer_is_parked()) parts_.completion_bell.ring();
}

void MemberLoop::predict(const TaskRecord& task, CompletionRecord& completion) {
  const ArenaLayout& layout = parts_.start.arena;
  const auto slot = slot_view(parts_.arena, layout, task.slot, task.images);
  const std::span<float> answers = parts_.channel.output(task.slot, task.images);
  const std::uint32_t width = parts_.start.width;
  // Batches never cross a segment, and the cut depends on its length and the batch size alone.
  for (std::uint32_t first = 0; first < task.images; first += parts_.request.batch_images) {
    const std::uint32_t count = std::min(parts_.request.batch_images, task.images - first);
    parts_.model.predict(slot.pixels.data() + first * layout.shape.elements(), count,
                         answers.subspan(std::size_t{first} * width, std::size_t{count} * width));
    stamp_progress();
  }
  if (parts_.start.allow_nan) return;
  if (const auto image = first_not_finite(answers, width)) {
    completion.status = CompletionStatus::not_finite;
    completion.detail = *image;
  }
}

void MemberLoop::train(const TaskRecord& task, CompletionRecord& completion) {
  const auto slot = slot_view(parts_.arena, parts_.start.arena, task.slot, task.images);
  pick_rows(slot.numbers);
  completion.trained = rows_.size();
  for (std::size_t first = 0; first < rows_.size(); first += parts_.request.train_batch_images) {
    const std::size_t count = std::min<std::size_t>(parts_.request.train_batch_images, rows_.size() - first);
    const TrainBatch batch =
        parts_.model.train(slot.pixels.data(), slot.labels, std::span(rows_).subspan(first, count));
    completion.loss_sum += batch.loss_sum;
    completion.correct += batch.correct;
    stamp_progress();
  }
  if (!std::isfinite(completion.loss_sum)) completion.status = CompletionStatus::not_finite;
}

void MemberLoop::pick_rows(std::span<const std::uint64_t> numbers) {
  rows_.clear();
  for (std::uint32_t row = 0; row < numbers.size(); ++row) {
    const std::uint32_t times = parts_.request.bootstrap ? poisson_one(parts_.request.seed, numbers[row]) : 1;
    rows_.insert(rows_.end(), times, row);
  }
}

void MemberLoop::stamp_progress() { parts_.channel.status().progress.store(++progress_, std::memory_order_release); }

}  // namespace tutti::worker
