#include "worker/unit_loop.hpp"

#include <poll.h>

#include <array>
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
    members_.push_back(std::make_unique<HostedMember>(MemberParts{
        member.model, member.request, parts_.start, parts_.arena, parts_.channel, Seat(seat), &feeds_, member.rows}));
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

/// Fused members are never trained.
HostedMember& UnitLoop::member_at(Seat seat) {
  if (seat.value() >= members_.size()) throw std::logic_error("a command is for a member that is not here");
  return *members_[seat.value()];
}

/// The member carries it out, on the thread that computes for it, and the coordinator hears of it.
template <class Deed>
void UnitLoop::command(Seat seat, Deed deed) {
  HostedMember& member = member_at(seat);
  const auto carry_out = [this, seat, &member, deed = std::move(deed)] {
    control::Done done = deed(member);
    done.seat = seat;
    parts_.control.send(done);
  };
  if (parts_.members[seat.value()].thread == nullptr) return carry_out();
  give(seat, carry_out);
}

/// The member's own thread does it. The first failure counts: the coordinator kills this process.
template <class Deed>
void UnitLoop::give(Seat seat, Deed deed) {
  const UnitMember& member = parts_.members[seat.value()];
  member.thread->give([this, &member, deed = std::move(deed)] {
    if (failed_) return;
    try {
      deed();
    } catch (const std::exception& error) {
      if (failed_.exchange(true)) return;
      control::Failure failure = failure_of(error);
      if (members_.size() > 1) failure.text = member.request.name + ": " + failure.text;
      parts_.control.send(failure);
    }
  });
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
  if (const auto* file = std::get_if<control::CheckpointFile>(&message)) {
    member_at(file->seat).keep_in(file->file, parts_.control.take_descriptor());
  } else if (const auto* begin = std::get_if<control::BeginTraining>(&message)) {
    kill_point("worker.begin_training_received");
    command(begin->seat, [](HostedMember& member) {
      member.begin_training();
      return control::Done{};
    });
  } else if (const auto* from = std::get_if<control::Restore>(&message)) {
    kill_point("worker.restore_received");
    command(from->seat, [from = *from](HostedMember& member) {
      control::Done done = done_or_why_not([&] { member.restore(from); });
      kill_point("worker.restored");
      return done;
    });
  } else if (const auto* save = std::get_if<control::Save>(&message)) {
    kill_point("worker.save_received");
    command(save->seat, [save = *save](HostedMember& member) {
      control::Done done = done_or_why_not([&] { member.save(save); });
      kill_point("worker.saved");
      return done;
    });
  } else {
    throw std::logic_error("unexpected control message");
  }
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
  if (parts_.members[task.seat.value()].thread == nullptr) {
    answer(member.perform(task));
    return true;
  }
  // Its own thread may map and forget nothing: stages have workers of their own.
  TUTTI_CHECK(task.feed == 0, "a stage computes on the thread of the loop");
  give(task.seat, [this, &member, task] { answer(member.perform(task)); });
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
