// The part of the supervisor about commands: every member left begins to train, or saves its weights.
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

// Only after the tasks that came before it, because the command is about the state after them.
void Supervisor::tell_if_due(Rank rank, Time now) {
  if (!work_[rank].may_be_told() || !life_of(rank).running()) return;
  if (command_ == Command::begin_training) begin_training(rank);
  work_[rank].tell();
  life_of(rank).clock.begin(now);
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
  const WorkerLife& life = life_of(rank);
  const bool told = work_[rank].told();
  if (!life.has_process() || life.phase() == WorkerLife::Phase::ending) return;
  if (life.phase() == WorkerLife::Phase::preparing) {
    // Even if the member starts a new training: it would start from its initial weights and lose the training so far.
    if (!answer.problem.empty())
      return fail(Error(ErrorKind::failed,
                        fmt::format("{} could not be brought back to its training: {}",
                                    place_of(hosting_.only_worker_of(rank), rank), answer.problem),
                        {}, answer.hint));
    if (told) answer_command(rank, answer);
    return run(hosting_.only_worker_of(rank), now);
  }
  if (!told) return violation(hosting_.only_worker_of(rank), "it answered a command that it was not given", now);
  answer_command(rank, answer);
  hand_out_pending(hosting_.only_worker_of(rank), now);
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
