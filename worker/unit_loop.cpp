#include "worker/unit_loop.hpp"

#include <poll.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "common/check.hpp"
#include "common/kill_point.hpp"
#include "worker/failure.hpp"

namespace tutti::worker {
namespace {

std::uint64_t bound_of(const std::vector<UnitMember>& members) {
  std::vector<const MemberRequest*> requests;
  for (const UnitMember& member : members) requests.push_back(&member.request);
  return memory_bound(requests);
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

UnitLoop::UnitLoop(LoopParts parts)
    : parts_(std::move(parts)),
      feeds_(parts_.start.arena.slots, parts_.start.arena.images),
      tasks_(parts_.channel.tasks()),
      memory_(bound_of(parts_.members)),
      completions_(parts_.channel.completions()) {
  TUTTI_CHECK(parts_.members.size() == parts_.channel.layout().seats());
  if (parts_.fused) {
    const UnitMember& first = parts_.members.front();
    fused_.emplace(first.model, first.request, parts_.start, parts_.arena, parts_.channel);
    return;
  }
  for (std::size_t seat = 0; seat < parts_.members.size(); ++seat) {
    const UnitMember& member = parts_.members[seat];
    members_.push_back(std::make_unique<HostedMember>(MemberParts{member.model, member.request, parts_.start,
                                                                  parts_.arena, parts_.channel, Seat(seat),
                                                                  parts_.checkpoints, &feeds_, member.rows}));
  }
}

UnitLoop::~UnitLoop() {
  for (const UnitMember& member : parts_.members)
    if (member.thread != nullptr) member.thread->finish();
}

void UnitLoop::run() {
  for (TaskRecord task;;) {
    switch (tasks_.pop(task)) {
      case RingStatus::ok:
        if (!perform(task)) return;
        if (together_.empty()) memory_.check();
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
bool UnitLoop::sleep() {
  tasks_.park();
  kill_point("worker.parked");
  TaskRecord task;
  const RingStatus status = tasks_.pop(task);
  if (status != RingStatus::would_block) {
    tasks_.unpark();
    if (status == RingStatus::ok && !perform(task)) return false;
    if (together_.empty()) memory_.check();
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

/// Commands are for units of one member.
HostedMember& UnitLoop::only_member() {
  if (members_.size() != 1) throw std::logic_error("a unit of several members got a command");
  return *members_.front();
}

bool UnitLoop::obey(const control::Message& message) {
  if (std::holds_alternative<control::Stop>(message)) {
    kill_point("worker.stop_received");
    return false;
  }
  if (const auto* feed = std::get_if<control::Feed>(&message)) {
    kill_point("worker.feed_received");
    feeds_.add(*feed, parts_.control.take_descriptor());
    kill_point("worker.feed_mapped");
    return true;
  }
  if (const auto* old = std::get_if<control::Forget>(&message)) {
    feeds_.forget(old->number);
    return true;
  }
  control::Done answer;
  if (std::holds_alternative<control::BeginTraining>(message)) {
    kill_point("worker.begin_training_received");
    only_member().begin_training();
  } else if (const auto* from = std::get_if<control::Restore>(&message)) {
    kill_point("worker.restore_received");
    answer = done_or_why_not([&] { only_member().restore(*from); });
    kill_point("worker.restored");
  } else if (const auto* save = std::get_if<control::Save>(&message)) {
    kill_point("worker.save_received");
    answer = done_or_why_not([&] { only_member().save(*save); });
    kill_point("worker.saved");
  } else {
    throw std::logic_error("unexpected control message");
  }
  parts_.control.send(answer);
  return true;
}

/// The message was sent before the task that needs it, but the loop reads messages only when its ring is empty.
bool UnitLoop::await_feed(std::uint32_t number) {
  while (number != 0 && !feeds_.has(number)) {
    const auto message = parts_.control.receive();
    if (!message || !obey(*message)) return false;
  }
  return true;
}

bool UnitLoop::perform(const TaskRecord& task) {
  if (fused_) {
    together_.push_back(task);
    if (task.more > 0) return true;
    for (const CompletionRecord& completion : fused_->perform(together_)) answer(completion);
    together_.clear();
    return true;
  }
  if (!await_feed(task.feed)) return false;
  TUTTI_CHECK(task.seat.value() < members_.size());
  HostedMember& member = *members_[task.seat.value()];
  MemberThread* const thread = parts_.members[task.seat.value()].thread;
  if (thread == nullptr) {
    answer(member.perform(task));
    return true;
  }
  // Its own thread may map and forget nothing: stages have workers of their own.
  TUTTI_CHECK(task.feed == 0, "a stage computes on the thread of the loop");
  const std::string& name = parts_.members[task.seat.value()].request.name;
  thread->give([this, &member, &name, task] {
    if (failed_) return;
    try {
      answer(member.perform(task));
    } catch (const std::exception& error) {
      // The first failure counts: the coordinator kills this process.
      if (failed_.exchange(true)) return;
      control::Failure failure = failure_of(error);
      if (members_.size() > 1) failure.text = name + ": " + failure.text;
      parts_.control.send(failure);
    }
  });
  return true;
}

void UnitLoop::answer(const CompletionRecord& completion) {
  const MutexLock lock(publishing_);
  if (completions_.push(completion) != RingStatus::ok) throw std::logic_error("the completion ring is full or corrupt");
  kill_point("worker.completion_pushed");
  if (completions_.consumer_is_parked()) parts_.completion_bell.ring();
  kill_point("worker.bell_rung");
}

}  // namespace tutti::worker
