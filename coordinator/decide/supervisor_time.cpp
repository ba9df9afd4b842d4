// The part of the supervisor about time: what becomes due without an event.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/decide/supervisor.hpp"

namespace tutti {

void Supervisor::progress(WorkerId worker, std::uint64_t batches, Time now) {
  WorkerLife& life = lives_[worker];
  if (failed_ || !life.running()) return;
  life.clock.look(batches, any_in_flight(worker), now);
}

void Supervisor::watch(WorkerId worker, const ProcessActivity& activity, Time now) {
  if (failed_ || !lives_[worker].running()) return;
  lives_[worker].clock.watch(activity, now);
}

bool Supervisor::to_be_watched(WorkerId worker, Time now) const {
  return !failed_ && lives_[worker].to_be_watched(duty_of(worker), now);
}

WorkerLife::Duty Supervisor::duty_of(WorkerId worker) const {
  const auto told = [&](Rank rank) { return work_[rank].told(); };
  if (std::ranges::any_of(hosting_.members_of(worker), told)) return WorkerLife::Duty::command;
  return any_in_flight(worker) ? WorkerLife::Duty::tasks : WorkerLife::Duty::nothing;
}

void Supervisor::tick(Time now) {
  cut_late(now);
  for (const WorkerId worker : lives_.ids()) {
    if (failed_) return;
    WorkerLife& life = lives_[worker];
    life.clock.confirm();
    if (hosting_.replicas_of(worker).front() == worker) take_over(worker, now);
    const auto due = life.due(duty_of(worker));
    if (!due || now < *due) continue;
    switch (life.phase()) {
      case WorkerLife::Phase::waiting:
        if (is_useless(worker))
          life.give_up();
        else if (!is_superseded(worker))
          spawn(worker, now);
        break;
      case WorkerLife::Phase::starting:
      case WorkerLife::Phase::preparing:
        start_is_late(worker, now);
        break;
      case WorkerLife::Phase::running:
        hangs(worker, now);
        break;
      case WorkerLife::Phase::ending:
        abandon(worker, now);
        break;
      case WorkerLife::Phase::given_up:
        break;
    }
  }
}

void Supervisor::start_is_late(WorkerId worker, Time now) {
  const double seconds = setting_.start_deadline.count();
  if (all_ran_) {
    WorkerFault fault;
    fault.kind = WorkerFault::Kind::late;
    fault.seconds = seconds;
    return kill(worker, std::move(fault), now);
  }
  std::string late;
  for (const WorkerId other : lives_.ids())
    if (lives_[other].started() && !lives_[other].running() && lives_[other].phase() != WorkerLife::Phase::given_up)
      late += (late.empty() ? "" : ", ") + place_of(other);
  fail(Error(ErrorKind::failed, fmt::format("not ready within {} s: {}", seconds, late), {},
             "raise 'start_deadline_s' if loading and warm-up take that long"));
}

void Supervisor::hangs(WorkerId worker, Time now) {
  WorkerFault fault;
  fault.kind = WorkerFault::Kind::hung;
  fault.seconds = WorkerLife::Seconds(now - lives_[worker].clock.since()).count();
  fault.commanded = duty_of(worker) == WorkerLife::Duty::command;
  if (fault.commanded)
    fault.hint = "raise 'start_deadline_s' if that takes so long";
  else if (setting_.policy.progress == config::FailureSpec::Deadline::automatic)
    fault.hint = "if one batch may take that long, set 'progress_deadline_s' to more seconds or to off";
  ++counts_.hangs;
  kill(worker, std::move(fault), now);
}

void Supervisor::stalled(Time now) {
  if (failed_) return;
  for (WorkerLife& life : lives_) life.stalled(now);
}

bool Supervisor::only_answers_are_due() const {
  return !failed_ && cut_from_.empty() && !hosting_.any_replicated() &&
         std::all_of(lives_.begin(), lives_.end(), [](const WorkerLife& life) { return life.running(); });
}

std::optional<Supervisor::Time> Supervisor::next_wake() const {
  if (failed_) return std::nullopt;
  std::optional<Time> earliest = next_soon();
  for (const WorkerId worker : lives_.ids())
    if (const auto due = lives_[worker].due(duty_of(worker)); due && !waits_for_successor(worker))
      earliest = std::min(earliest.value_or(*due), *due);
  return earliest;
}

}  // namespace tutti
