#include "coordinator/decide/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "coordinator/decide/later.hpp"

namespace tutti {

Supervisor::Supervisor(SupervisorSetting setting)
    : setting_(std::move(setting)),
      ledger_(setting_.places.size()),
      members_(setting_.places.size(), Member(setting_.policy)) {}

std::optional<Action> Supervisor::next() {
  if (actions_.empty()) return std::nullopt;
  Action action = std::move(actions_.front());
  actions_.pop_front();
  return action;
}

// ---- from nothing to running ---------------------------------------------------------------------------------------

void Supervisor::start(Time now) {
  for (std::size_t rank = 0; rank < members_.size(); ++rank) spawn(rank, now);
}

void Supervisor::spawn(std::size_t rank, Time now) {
  Member& member = members_[rank];
  member.phase = Phase::starting;
  member.deadline = start_deadline(now);
  actions_.push_back(action::Spawn{rank, member.generation});
}

void Supervisor::ready(std::size_t rank, Time now) {
  Member& member = members_[rank];
  if (failed_) return;
  if (member.phase == Phase::preparing || member.phase == Phase::running)
    return violation(rank, "it is ready twice", now);
  if (member.phase != Phase::starting) return;
  actions_.push_back(action::Begin{rank});
  const bool begins = member.part == Part::untold && command_ == Command::begin_training && !member.tasks.any_open();
  if (begins) begin_training(rank);
  if (!member.training) return run(rank, now);
  if (begins) member.part = Part::told;
  member.phase = Phase::preparing;
  member.deadline = start_deadline(now);
  actions_.push_back(action::Prepare{rank, member.tasks.checkpoint(), member.tasks.begins()});
}

void Supervisor::run(std::size_t rank, Time now) {
  Member& member = members_[rank];
  member.phase = Phase::running;
  member.ran = true;
  member.deadline.reset();
  member.clock.reset();
  note_all_running();
  hand_out_pending(rank, now);
}

void Supervisor::note_all_running() { all_ran_ = all_ran_ || all_running(); }

// ---- commands ------------------------------------------------------------------------------------------------------

void Supervisor::command(Command command, Time now) {
  if (failed_) return;
  assert(!command_);
  command_ = command;
  command_before_ = ledger_.next();
  command_problem_.reset();
  for (Member& member : members_)
    if (member.phase != Phase::absent) member.part = Part::untold;
  for (std::size_t rank = 0; rank < members_.size(); ++rank) tell_if_due(rank, now);
}

// After the tasks that came before it: their state is what the command is about.
void Supervisor::tell_if_due(std::size_t rank, Time now) {
  Member& member = members_[rank];
  if (member.phase != Phase::running || member.part != Part::untold) return;
  const auto& pending = member.tasks.pending();
  if (!member.tasks.in_flight().empty() || (!pending.empty() && *pending.begin() < command_before_)) return;
  if (command_ == Command::begin_training) begin_training(rank);
  member.part = Part::told;
  member.clock.begin(now);
  actions_.push_back(action::Tell{rank});
}

void Supervisor::begin_training(std::size_t rank) {
  Member& member = members_[rank];
  member.training = true;
  for (const std::uint64_t segment : member.tasks.begin_training()) {
    ledger_.settle(segment, rank);
    release(segment);
  }
}

void Supervisor::done(std::size_t rank, const control::Done& answer, Time now) {
  Member& member = members_[rank];
  if (failed_ || member.phase == Phase::waiting || member.phase == Phase::ending || member.phase == Phase::absent)
    return;
  if (member.phase == Phase::preparing) {
    // Also where it begins anew: it would begin from its first weights instead of what it has learnt.
    if (!answer.problem.empty())
      return fail(
          Error(ErrorKind::failed,
                fmt::format("{} could not be brought back to its training: {}", setting_.places[rank], answer.problem),
                {}, answer.hint));
    if (member.part == Part::told) answer_command(rank, answer);
    return run(rank, now);
  }
  if (member.part != Part::told) return violation(rank, "it answered a command that it was not given", now);
  answer_command(rank, answer);
  hand_out_pending(rank, now);
}

void Supervisor::answer_command(std::size_t rank, const control::Done& answer) {
  Member& member = members_[rank];
  member.part = Part::none;
  if (!answer.problem.empty()) {
    if (command_ == Command::begin_training) member.training = false;
    if (!command_problem_)
      command_problem_ =
          Error(ErrorKind::failed, fmt::format("{}: {}", setting_.places[rank], answer.problem), {}, answer.hint);
  }
  finish_command();
}

void Supervisor::finish_command() {
  const bool open =
      std::any_of(members_.begin(), members_.end(), [](const Member& member) { return member.part != Part::none; });
  if (!command_ || open) return;
  command_.reset();
  actions_.push_back(action::CommandDone{command_problem_});
}

// ---- the end, and questions ----------------------------------------------------------------------------------------

void Supervisor::fail(Error error, std::optional<action::Fail::Image> image) {
  if (failed_) return;
  failed_ = true;
  actions_.push_back(action::Fail{std::move(error), image});
}

std::optional<Supervisor::Time> Supervisor::start_deadline(Time now) const {
  if (!setting_.deadlines) return std::nullopt;
  return later(now, setting_.start_deadline);
}

bool Supervisor::busy() const {
  return std::any_of(members_.begin(), members_.end(), [](const Member& member) {
    return member.tasks.any_open() || member.part != Part::none || member.phase == Phase::preparing;
  });
}

bool Supervisor::all_running() const {
  const auto is = [this](Phase phase) {
    return std::count_if(members_.begin(), members_.end(), [&](const Member& member) { return member.phase == phase; });
  };
  const auto running = is(Phase::running);
  return running > 0 && running + is(Phase::absent) == static_cast<std::ptrdiff_t>(members_.size());
}

WorkerState Supervisor::state(std::size_t rank) const {
  switch (members_.at(rank).phase) {
    case Phase::waiting:
      return WorkerState::waiting;
    case Phase::starting:
    case Phase::preparing:
      return WorkerState::starting;
    case Phase::running:
      return WorkerState::running;
    case Phase::ending:
      return WorkerState::ending;
    case Phase::absent:
      break;
  }
  return WorkerState::absent;
}

std::uint32_t Supervisor::generation(std::size_t rank) const { return members_.at(rank).generation; }

bool Supervisor::absent(std::size_t rank) const { return members_.at(rank).phase == Phase::absent; }

std::uint64_t Supervisor::handed_out(std::size_t rank) const { return members_.at(rank).handed_out; }

void Supervisor::describe(std::size_t rank, MemberStatus& status) const {
  const Member& member = members_.at(rank);
  status.state = state(rank);
  status.generation = member.generation;
  status.deaths = member.deaths;
  status.absent_reason = member.absent_reason;
  status.absent_from_segment = member.absent_from;
}

}  // namespace tutti
