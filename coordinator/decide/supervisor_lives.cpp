// The part of the supervisor about the lives of workers: how they start, how they end, and what follows.
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {
namespace {

// If a process could not be started, the next attempt waits even without a back-off: the cause is probably still there.
constexpr RestartBudget::Seconds kAfterFailedStart{0.1};
// So often in a row a member may miss the automatic deadline, which is twice as long each time.
constexpr std::uint32_t kMostMissed = 3;

bool is_for(const Action& action, WorkerId worker) {
  return std::visit(
      [worker](const auto& a) {
        using Kind = std::decay_t<decltype(a)>;
        if constexpr (std::is_same_v<Kind, action::Begin> || std::is_same_v<Kind, action::Kill>)
          return a.worker == worker;
        else if constexpr (std::is_same_v<Kind, action::Prepare> || std::is_same_v<Kind, action::Tell> ||
                           std::is_same_v<Kind, action::HandOut>)
          return worker_of(a.rank) == worker;
        else
          return false;
      },
      action);
}

}  // namespace

// ---- from nothing to running ---------------------------------------------------------------------------------------

void Supervisor::start(Time now) {
  for (const WorkerId worker : lives_.ids()) spawn(worker, now);
}

void Supervisor::spawn(WorkerId worker, Time now) {
  WorkerLife& life = lives_[worker];
  life.spawn(now);
  if (life.generation() > Generation(0)) ++counts_.restarts;
  actions_.push_back(action::Spawn{worker, life.generation()});
}

void Supervisor::ready(WorkerId worker, WorkerLife::Seconds batch, Time now) {
  if (failed_) return;
  switch (lives_[worker].ready(batch, now)) {
    case WorkerLife::Step::late:
      return;
    case WorkerLife::Step::lie:
      return violation(worker, "it said twice that it is ready", now);
    case WorkerLife::Step::taken:
      break;
  }
  const Rank rank = member_of(worker);
  MemberWork& work = work_[rank];
  actions_.push_back(action::Begin{worker});
  const bool begins = work.owes() && command_ == Command::begin_training && !work.tasks.any_open();
  if (begins) begin_training(rank);
  if (!work.training()) return run(worker, now);
  if (begins) work.tell();
  TUTTI_CHECK(work.tasks.begins() || work.tasks.checkpoint().has_value(), "a member in training has a state");
  actions_.push_back(action::Prepare{rank, work.tasks.checkpoint(), work.tasks.begins()});
}

void Supervisor::run(WorkerId worker, Time now) {
  lives_[worker].prepared();
  note_all_running();
  hand_out_pending(member_of(worker), now);
}

// ---- how the end comes ---------------------------------------------------------------------------------------------

void Supervisor::violation(WorkerId worker, const std::string& what, Time now) {
  WorkerLife& life = lives_[worker];
  if (failed_ || !life.has_process()) return;
  life.distrust();
  if (life.phase() == WorkerLife::Phase::ending) return;
  ++counts_.violations;
  WorkerFault fault;
  fault.kind = WorkerFault::Kind::lied;
  fault.text = what;
  kill(worker, std::move(fault), now);
}

void Supervisor::kill(WorkerId worker, WorkerFault fault, Time now) {
  const Rank rank = member_of(worker);
  fault.place = setting_.places[rank.value()];
  fault.where = where(rank, !work_[rank].tasks.in_flight().empty());
  const WorkerLife::Step step = lives_[worker].kill(std::move(fault), now);
  TUTTI_CHECK(step == WorkerLife::Step::taken, "a worker is killed only while there is one");
  actions_.push_back(action::Kill{worker});
}

void Supervisor::gone(WorkerId worker, const Death& death, Time now) {
  const WorkerLife& life = lives_[worker];
  if (failed_ || !life.has_process()) return;
  const Rank rank = member_of(worker);
  const bool computing = has_begun(rank, death.tasks_taken);
  WorkerFault fault;
  fault.place = setting_.places[rank.value()];
  fault.where = where(rank, computing);
  fault.text = death.how;
  fault.out_of_memory = death.out_of_memory;
  if (death.words) {
    fault.kind = WorkerFault::Kind::failed;
    fault.text = death.words->text;
    fault.hint = death.words->hint;
    fault.usage = death.words->usage;
  }
  // The reason why it was killed says more than "SIGKILL", but less than the worker's own message about the
  // configuration.
  if (life.fault() && !fault.usage) fault = *life.fault();
  died(worker, std::move(fault), computing, now);
  check_invariants();
}

void Supervisor::spawn_failed(WorkerId worker, const Error& error, Time now) {
  using Phase = WorkerLife::Phase;
  const WorkerLife& life = lives_[worker];
  if (failed_ || (life.phase() != Phase::starting && life.phase() != Phase::ending)) return;
  WorkerFault fault;
  fault.kind = WorkerFault::Kind::not_started;
  fault.place = setting_.places[member_of(worker).value()];
  fault.text = error.message();
  fault.detail = error.detail();
  fault.hint = error.hint();
  fault.usage = error.kind() == ErrorKind::usage;
  // It was killed while it was on its way, for a reason that says more.
  if (life.fault()) fault = *life.fault();
  died(worker, std::move(fault), false, now);
  check_invariants();
}

// Its channel is no longer read, so answers that were not read yet are asked for again. With SIGKILL pending the
// process runs no more instructions of its own: the kernel can still read, on its behalf, only the slot that it was
// computing. If the worker broke the protocol, that slot is not known.
void Supervisor::abandon(WorkerId worker, Time now) {
  const WorkerLife& life = lives_[worker];
  const Rank rank = member_of(worker);
  const MemberTasks& tasks = work_[rank].tasks;
  const auto& in_flight = tasks.in_flight();
  AbandonedProcesses::Slots slots;
  const std::size_t readable = life.distrusted() ? in_flight.size() : std::min<std::size_t>(in_flight.size(), 1);
  for (std::size_t i = 0; i < readable; ++i) slots.push_back(ledger_.at(in_flight[i]).slot);
  actions_.push_back(action::Abandon{worker, life.generation(), tasks.checkpoint()});
  for (const SlotId slot : slots) actions_.push_back(action::Hold{slot});
  abandoned_.add(worker, life.generation(), std::move(slots));
  ask_unread_again(rank, life.generation());
  TUTTI_CHECK(life.fault().has_value(), "a process is abandoned after it was killed");
  WorkerFault fault = *life.fault();
  fault.stuck = true;
  died(worker, std::move(fault), !in_flight.empty(), now);
  check_slots();
  check_invariants();
}

void Supervisor::exited_late(WorkerId worker, Generation generation, Time /*now*/) {
  if (failed_) return;
  for (const SlotId slot : abandoned_.remove(worker, generation)) actions_.push_back(action::Release{slot});
}

// ---- what follows --------------------------------------------------------------------------------------------------

void Supervisor::died(WorkerId worker, WorkerFault fault, bool computing, Time now) {
  WorkerLife& life = lives_[worker];
  const Rank rank = member_of(worker);
  MemberTasks& tasks = work_[rank].tasks;
  ++counts_.deaths;
  life.count_death();
  if (fault.out_of_memory) ++counts_.out_of_memory;
  forget_actions(worker);
  // A worker that says why it cannot start would say the same again, and what the system refuses at the start it would
  // refuse again. Later, the same refusal may pass: other processes have ended by then.
  const bool explained = fault.kind == WorkerFault::Kind::failed || fault.kind == WorkerFault::Kind::not_started;
  if (fault.usage || (explained && !all_ran_)) return fail(error_of(fault));
  if (setting_.policy.on_worker_failure == OnWorkerFailure::fail)
    return fail(error_of(fault, "'on_worker_failure: restart' replaces workers that die"));

  TUTTI_CHECK(!computing || !tasks.in_flight().empty());
  const SegmentId computed = computing ? tasks.in_flight().front() : SegmentId();
  const bool alone = computing && tasks.retries_suspect();
  life.gone();
  take_back(rank);
  std::string news;
  if (is_missed_deadline(fault)) {
    // The segment may only be slow, so it is never to blame.
    if (const auto verdict = life.budget.spend(now); verdict != RestartBudget::Verdict::allowed)
      return give_up(worker, fault, budget_text(verdict));
    if (const std::uint32_t missed = life.miss(); missed >= kMostMissed)
      return give_up(worker, fault, fmt::format("it missed its deadline {} times in a row", missed));
  } else if (alone) {
    if (!blame(worker, computed, fault, news)) return;
  } else {
    if (const auto verdict = life.budget.spend(now); verdict != RestartBudget::Verdict::allowed)
      return give_up(worker, fault, budget_text(verdict), "look at what the worker printed, or raise 'restarts'");
    if (computing && setting_.policy.poison_limit && tasks.pending().contains(computed)) tasks.suspect(computed);
  }
  replace(worker, fault, news, now);
}

// Drops orders to a process that no longer exists.
void Supervisor::forget_actions(WorkerId worker) {
  std::erase_if(actions_, [worker](const Action& action) { return is_for(action, worker); });
}

void Supervisor::replace(WorkerId worker, const WorkerFault& fault, const std::string& news, Time now) {
  using Seconds = WorkerLife::Seconds;
  const Rank rank = member_of(worker);
  const auto at_least = fault.kind == WorkerFault::Kind::not_started ? kAfterFailedStart : Seconds(0);
  const Seconds delay = lives_[worker].wait_for_replacement(at_least, now);
  const bool at_once = delay <= Seconds(0);
  const auto& pending = work_[rank].tasks.pending();
  const auto again = static_cast<std::size_t>(std::count_if(
      pending.begin(), pending.end(), [&](SegmentId number) { return ledger_.at(number).rows[rank].times > 0; }));
  // For these, the hint is given only if the run fails in the end.
  const bool later = fault.kind == WorkerFault::Kind::late || fault.kind == WorkerFault::Kind::lied;
  const std::string hint = later ? "" : hint_of(fault);
  actions_.push_back(action::Say{
      fmt::format("{}{}; {}{}{}", line_of(fault), news.empty() ? "" : "; " + news,
                  at_once ? std::string("replacement started") : fmt::format("replacement in {:.2g} s", delay.count()),
                  again == 0 ? "" : fmt::format(", {} handed out again", segments_text(again)),
                  hint.empty() ? "" : fmt::format(" ({})", hint))});
  if (at_once) spawn(worker, now);
}

// The worker is not replaced any more.
void Supervisor::give_up(WorkerId worker, const WorkerFault& fault, const std::string& why, const std::string& advice) {
  // Until every member has been ready once, the shape of the results is not known.
  if (setting_.policy.on_worker_failure == OnWorkerFailure::restart || !all_ran_)
    return fail(error_of(fault, advice.empty() ? why : fmt::format("{}; {}", why, advice)));
  lives_[worker].give_up();
  leave(member_of(worker), fault, why);
  note_all_running();
}

/// Under the automatic deadline nobody has said how long a batch may take, so missing it proves nothing.
bool Supervisor::is_missed_deadline(const WorkerFault& fault) const {
  return fault.kind == WorkerFault::Kind::hung && setting_.policy.progress == config::FailureSpec::Deadline::automatic;
}

std::string Supervisor::budget_text(RestartBudget::Verdict verdict) const {
  const std::uint32_t limit = setting_.policy.restart_limit.value_or(0);
  return fmt::format(
      "its restart budget is spent ({})",
      verdict == RestartBudget::Verdict::never_ready
          ? fmt::format("{}{} never became ready", counted(limit, "replacement"), limit == 1 ? "" : " in a row")
          : fmt::format("{} within {} s", limit, setting_.policy.restart_window));
}

}  // namespace tutti
