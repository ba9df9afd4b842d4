// The part of the supervisor about commands: every member left begins to train, or saves its weights; and about
// bringing the members of a worker that starts to the states in which they were. The members of a unit are told one
// after the other, so that what a worker is sent fits its socket, and a death says who was told.
#include <fmt/format.h>

#include <algorithm>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

void Supervisor::command(Command command, Time now) {
  if (failed_) return;
  TUTTI_CHECK(!command_, "only one command at a time");
  command_ = command;
  command_problem_.reset();
  for (MemberWork& work : work_)
    if (!work.absent()) work.command(ledger_.next());
  for (const Rank rank : work_.ids()) tell_if_due(rank, now);
}

/// Brings the members from this seat on to their states, those that are trained; then the worker runs.
void Supervisor::prepare_from(WorkerId worker, Seat seat, Time now) {
  const std::vector<Rank>& unit = hosting_.members_of(worker);
  for (; !hosting_.replicated(worker) && seat.value() < unit.size(); seat = Seat(seat.value() + 1)) {
    const Rank rank = unit[seat.value()];
    MemberWork& work = work_[rank];
    const bool begins = work.owes() && command_ == Command::begin_training && !work.tasks.any_open();
    if (begins) begin_training(rank);
    if (!work.training()) continue;
    if (begins) work.tell();
    TUTTI_CHECK(work.tasks.begins() || work.tasks.checkpoint().has_value(), "a member in training has a state");
    preparing_[worker] = seat;
    actions_.push_back(action::Prepare{rank, work.tasks.checkpoint(), work.tasks.begins()});
    return;
  }
  preparing_.erase(worker);
  run(worker, now);
}

/// Only after the tasks that came before it, because the command is about the state after them. And not next to a task
/// that may kill the worker: it computes nothing else then.
bool Supervisor::may_be_told(Rank rank) const {
  if (!work_[rank].may_be_told()) return false;
  const WorkerId worker = hosting_.only_worker_of(rank);
  const auto hinders = [&](Rank other) { return work_[other].told() || work_[other].tasks.holds_suspect(worker); };
  return lives_[worker].running() && std::ranges::none_of(hosting_.members_of(worker), hinders);
}

void Supervisor::tell_if_due(Rank rank, Time now) {
  if (!may_be_told(rank)) return;
  if (command_ == Command::begin_training) begin_training(rank);
  work_[rank].tell();
  lives_[hosting_.only_worker_of(rank)].clock.begin(now);
  actions_.push_back(action::Tell{rank});
}

void Supervisor::begin_training(Rank rank) {
  for (const SegmentId segment : work_[rank].begin_training()) {
    ledger_.settle(segment, rank);
    release(segment);
  }
}

void Supervisor::done(Rank rank, const control::Done& answer, Time now) {
  if (failed_) return;
  const WorkerId worker = hosting_.only_worker_of(rank);
  const WorkerLife& life = lives_[worker];
  const bool told = work_[rank].told();
  if (!life.has_process() || life.phase() == WorkerLife::Phase::ending) return;
  if (life.phase() == WorkerLife::Phase::preparing && preparing_.at(worker) == hosting_.seat_of(rank)) {
    // Even if the member starts a new training: it would start from its initial weights and lose the training so far.
    if (!answer.problem.empty())
      return fail(
          Error(ErrorKind::failed,
                fmt::format("{} could not be brought back to its training: {}", place_of(worker, rank), answer.problem),
                {}, answer.hint));
    if (told) answer_command(rank, answer);
    return prepare_from(worker, Seat(hosting_.seat_of(rank).value() + 1), now);
  }
  if (!told) return violation(worker, "it answered a command that it was not given", now);
  answer_command(rank, answer);
  hand_out_pending(worker, now);
}

void Supervisor::answer_command(Rank rank, const control::Done& answer) {
  MemberWork& work = work_[rank];
  work.answer();
  if (!answer.problem.empty()) {
    if (command_ == Command::begin_training) work.stop_training();
    if (!command_problem_)
      command_problem_ =
          Error(ErrorKind::failed, fmt::format("{}: {}", place_of(hosting_.only_worker_of(rank), rank), answer.problem),
                {}, answer.hint);
  }
  finish_command();
}

void Supervisor::finish_command() {
  const bool open = std::any_of(work_.begin(), work_.end(), [](const MemberWork& work) { return work.commanded(); });
  if (!command_ || open) return;
  command_.reset();
  actions_.push_back(action::CommandDone{command_problem_});
}

}  // namespace tutti
