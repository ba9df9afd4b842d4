// The part of the supervisor about the lives of workers: how they start, how they end, and what follows.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <type_traits>
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
// Whatever a worker was given, it may have taken.
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

}  // namespace

// ---- from nothing to running ---------------------------------------------------------------------------------------

void Supervisor::start(Time now) {
  for (const WorkerId worker : lives_.ids())
    if (!starts_later(worker)) spawn(worker, now);
}

void Supervisor::spawn(WorkerId worker, Time now) {
  WorkerLife& life = lives_[worker];
  life.spawn(now);
  if (life.replaced() > 0) ++counts_.restarts;
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
  actions_.push_back(action::Begin{worker});
  start_fed(worker, now);
  prepare_from(worker, Seat(0), now);
}

void Supervisor::run(WorkerId worker, Time now) {
  lives_[worker].prepared();
  note_all_running();
  hand_out_pending(worker, now);
  dismiss_if_useless(worker);
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
  locate(fault, worker, begun_tasks(worker, kAll));
  const WorkerLife::Step step = lives_[worker].kill(std::move(fault), now);
  TUTTI_CHECK(step == WorkerLife::Step::taken, "a worker is killed only while there is one");
  actions_.push_back(action::Kill{worker});
}

void Supervisor::gone(WorkerId worker, const Death& death, Time now) {
  const WorkerLife& life = lives_[worker];
  if (failed_ || !life.has_process()) return;
  const std::vector<Given> begun = begun_tasks(worker, death.tasks_taken);
  std::optional<Rank> loading;
  const std::vector<Rank>& unit = hosting_.members_of(worker);
  if (life.phase() == WorkerLife::Phase::starting && death.members_ready < unit.size())
    loading = unit[death.members_ready];
  WorkerFault fault;
  locate(fault, worker, begun);
  if (loading) fault.place = place_of(worker, *loading);
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
  died(worker, std::move(fault), guilty_of(worker, begun), now, loading);
  hand_out_pending(worker, now);
  check_invariants();
}

void Supervisor::spawn_failed(WorkerId worker, const Error& error, Time now) {
  using Phase = WorkerLife::Phase;
  const WorkerLife& life = lives_[worker];
  if (failed_ || (life.phase() != Phase::starting && life.phase() != Phase::ending)) return;
  WorkerFault fault;
  fault.kind = WorkerFault::Kind::not_started;
  fault.place = place_of(worker);
  fault.text = error.message();
  fault.detail = error.detail();
  fault.hint = error.hint();
  fault.usage = error.kind() == ErrorKind::usage;
  // It was killed while it was on its way, for a reason that says more.
  if (life.fault()) fault = *life.fault();
  died(worker, std::move(fault), {}, now);
  hand_out_pending(worker, now);
  check_invariants();
}

// Its channel is no longer read, so answers that were not read yet are asked for again. With SIGKILL pending the
// process runs no more instructions of its own: the kernel can still read, on its behalf, only the slots that it was
// computing. If the worker broke the protocol, these are not known.
void Supervisor::abandon(WorkerId worker, Time now) {
  const WorkerLife& life = lives_[worker];
  const std::vector<Rank> unit = hosting_.members_of(worker);
  const std::vector<Given> begun = begun_tasks(worker, kAll);
  AbandonedProcesses::Slots slots;
  if (!life.distrusted())
    for (const Given& task : begun) slots.push_back(ledger_.at(task.segment).slot);
  else
    for (const Rank rank : unit)
      for (const SegmentId number : work_[rank].tasks.in_flight(worker)) slots.push_back(ledger_.at(number).slot);
  action::Abandon left{worker, life.generation(), {}};
  for (const Rank rank : unit) left.checkpoints.emplace_back(rank, work_[rank].tasks.checkpoint());
  actions_.push_back(std::move(left));
  for (const SlotId slot : slots) actions_.push_back(action::Hold{slot});
  abandoned_.add(worker, life.generation(), std::move(slots));
  for (const Rank rank : unit) ask_unread_again(worker, rank);
  TUTTI_CHECK(life.fault().has_value(), "a process is abandoned after it was killed");
  WorkerFault fault = *life.fault();
  fault.stuck = true;
  died(worker, std::move(fault), guilty_of(worker, begun), now);
  hand_out_pending(worker, now);
  check_slots();
  check_invariants();
}

void Supervisor::exited_late(WorkerId worker, Generation generation, Time /*now*/) {
  if (failed_) return;
  for (const SlotId slot : abandoned_.remove(worker, generation)) actions_.push_back(action::Release{slot});
}

// ---- what follows --------------------------------------------------------------------------------------------------

/// `begun`: the tasks that it was computing. `loading`: the member that it was loading.
void Supervisor::died(WorkerId worker, WorkerFault fault, const std::vector<Given>& begun, Time now,
                      std::optional<Rank> loading) {
  WorkerLife& life = lives_[worker];
  ++counts_.deaths;
  life.count_death();
  std::vector<Rank> culprits;
  for (const Given& task : begun) culprits.push_back(task.rank);
  if (culprits.empty() && loading) culprits.push_back(*loading);
  for (const Rank rank : culprits.empty() ? hosting_.members_of(worker) : culprits) ++deaths_[rank];
  if (fault.out_of_memory) ++counts_.out_of_memory;
  forget_actions(worker);
  // A worker that says why it cannot start would say the same again, and what the system refuses at the start it would
  // refuse again. Later, the same refusal may pass: other processes have ended by then.
  const bool explained = fault.kind == WorkerFault::Kind::failed || fault.kind == WorkerFault::Kind::not_started;
  const bool needed = !is_useless(worker);
  const bool of_gone = loading && vacant_.contains(*loading);  // the next process does not load it
  if (of_gone) culprits.clear();
  if (needed && !of_gone && (fault.usage || (explained && !all_ran_))) return fail(error_of(fault));
  if (setting_.policy.on_worker_failure == OnWorkerFailure::fail)
    return fail(error_of(fault, "'on_worker_failure: restart' replaces workers that die"));

  std::set<SegmentId> had;
  for (const Rank rank : hosting_.members_of(worker))
    for (const SegmentId number : work_[rank].tasks.in_flight(worker)) had.insert(number);
  const bool alone = computed_only(worker, begun);
  accused_.erase(worker);
  life.gone();
  preparing_.erase(worker);
  for (const Rank rank : hosting_.members_of(worker)) take_back(worker, rank);
  for (const Given& task : begun) doubt(task);
  if (is_superseded(worker) && setting_.chains.chain_of(hosting_.members_of(worker).front()).size() > 1)
    keep_chain(now);
  if (is_superseded(worker)) {
    life.wait_for_replacement(WorkerLife::Seconds(0), now);
    actions_.push_back(action::Say{fmt::format("{}; its new version is ready", line_of(fault))});
    return;
  }
  if (!needed) {
    if (all_gone(worker))
      leave_place(worker);
    else
      lives_[worker].give_up();
    actions_.push_back(action::Say{fmt::format("{}; nobody needs it any more", line_of(fault))});
    return note_all_running();
  }
  std::string news;
  if (is_missed_deadline(fault)) {
    // The segment may only be slow, so it is never to blame.
    std::string why;
    if (const auto verdict = life.budget.spend(now); verdict != RestartBudget::Verdict::allowed)
      why = budget_text(verdict);
    else if (const std::uint32_t missed = life.miss(); missed >= kMostMissed)
      why = fmt::format("it missed its deadline {} times in a row", missed);
    if (!why.empty()) news = move_out(culprits, why, now);
    if (!why.empty() && news.empty()) return give_up(worker, fault, why);
  } else if (alone) {
    if (!blame(worker, begun.front(), fault, news, now)) return;
  } else {
    if (const auto verdict = lives_[worker].budget.spend(now); verdict != RestartBudget::Verdict::allowed) {
      news = move_out(culprits, budget_text(verdict), now);
      if (news.empty())
        return give_up(worker, fault, budget_text(verdict), "look at what the worker printed, or raise 'restarts'");
    }
    for (const Given& task : begun) {
      MemberTasks& tasks = work_[task.rank].tasks;
      if (setting_.policy.poison_limit && tasks.pending().contains(task.segment)) tasks.suspect(task.segment);
    }
  }
  replace(worker, fault, news, had, now);
}

/// A worker died while it computed the task. If a sister has it, too, nobody else gets it meanwhile.
void Supervisor::doubt(const Given& task) {
  const auto found = ledger_.segments().find(task.segment);
  if (found != ledger_.segments().end()) ledger_.at(task.segment).rows[task.rank].doubted = true;
}

/// The member that a shared worker was computing or loading gets a worker of its own instead of taking its neighbours
/// with it; all but one of them do if it computed several at the same time. Returns the news about it: none if the
/// worker is not shared. Fused members stay: alone, their last bits would differ. Those of replicas stay, too.
std::string Supervisor::move_out(const std::vector<Rank>& culprits, const std::string& why, Time now) {
  if (culprits.empty()) return {};
  const WorkerId from = hosting_.workers_of(culprits.front()).front();
  part_from_gone(from);
  if (!hosting_.shared(from) || hosting_.replicated(from)) return {};
  if (setting_.modes[from.value()] == UnitMode::fused) return {};
  std::vector<Rank> moved;
  std::string places;
  for (const Rank rank : culprits) {
    if (!hosting_.shared(from)) break;
    if (vacant_.contains(rank)) continue;
    moved.push_back(rank);
    places += (places.empty() ? "" : ", ") + place_of(from, rank);
    hosting_ = hosting_.with_own_worker(rank);
    add_worker(std::string(setting_.devices[from]));
  }
  lives_[from].pardon();
  for (const Rank rank : moved) {
    actions_.push_back(action::Move{from, rank, hosting_.only_worker_of(rank)});
    spawn(hosting_.only_worker_of(rank), now);
  }
  return fmt::format("{}: {} {}", why, places,
                     moved.size() == 1 ? "gets a worker of its own" : "get workers of their own");
}

bool Supervisor::is_for(const Action& action, WorkerId worker) const {
  return std::visit(
      [&](const auto& a) {
        using Kind = std::decay_t<decltype(a)>;
        if constexpr (std::is_same_v<Kind, action::Begin> || std::is_same_v<Kind, action::Kill> ||
                      std::is_same_v<Kind, action::HandOut>)
          return a.worker == worker;
        else if constexpr (std::is_same_v<Kind, action::Prepare> || std::is_same_v<Kind, action::Tell>)
          return hosting_.only_worker_of(a.rank) == worker;
        else
          return false;
      },
      action);
}

// Drops orders to a process that no longer exists.
void Supervisor::forget_actions(WorkerId worker) {
  std::erase_if(actions_, [&](const Action& action) { return is_for(action, worker); });
}

/// `had`: the segments that it had not answered.
void Supervisor::replace(WorkerId worker, const WorkerFault& fault, const std::string& news,
                         const std::set<SegmentId>& had, Time now) {
  using Seconds = WorkerLife::Seconds;
  part_from_gone(worker);
  const auto at_least = fault.kind == WorkerFault::Kind::not_started ? kAfterFailedStart : Seconds(0);
  const Seconds delay = lives_[worker].wait_for_replacement(at_least, now);
  const bool at_once = delay <= Seconds(0);
  std::set<SegmentId> again;
  for (const Rank rank : hosting_.members_of(worker))
    for (const SegmentId number : work_[rank].tasks.pending())
      if (ledger_.at(number).rows[rank].times > 0 && (!hosting_.replicated(worker) || had.contains(number)))
        again.insert(number);
  // For these, the hint is given only if the run fails in the end.
  const bool later = fault.kind == WorkerFault::Kind::late || fault.kind == WorkerFault::Kind::lied;
  const std::string hint = later ? "" : hint_of(fault);
  actions_.push_back(action::Say{
      fmt::format("{}{}; {}{}{}", line_of(fault), news.empty() ? "" : "; " + news,
                  at_once ? std::string("replacement started") : fmt::format("replacement in {:.2g} s", delay.count()),
                  again.empty() ? "" : fmt::format(", {} handed out again", segments_text(again.size())),
                  hint.empty() ? "" : fmt::format(" ({})", hint))});
  if (at_once) spawn(worker, now);
}

// The worker is not replaced any more.
void Supervisor::give_up(WorkerId worker, const WorkerFault& fault, const std::string& why, const std::string& advice) {
  // Until every member has been ready once, the shape of the results is not known.
  const bool sister = has_sister_left(worker);
  if ((setting_.policy.on_worker_failure == OnWorkerFailure::restart && !sister) || !all_ran_)
    return fail(error_of(fault, advice.empty() ? why : fmt::format("{}; {}", why, advice)));
  lives_[worker].give_up();
  if (sister) {
    actions_.push_back(
        action::Say{fmt::format("{}; {}, and the ensemble continues with its other replicas", line_of(fault), why)});
  } else {
    for (const Rank rank : hosting_.members_of(worker))
      if (!failed_ && !absent(rank)) leave(worker, rank, fault, why);
  }
  note_all_running();
}

bool Supervisor::has_sister_left(WorkerId worker) const {
  return std::ranges::any_of(hosting_.replicas_of(worker), [&](WorkerId sister) {
    return sister != worker && lives_[sister].phase() != WorkerLife::Phase::given_up;
  });
}

/// Under the automatic deadline nobody has said how long a batch may take, so missing it proves nothing. Nor does that
/// of a command, which may be longer than the window of the restart budget.
bool Supervisor::is_missed_deadline(const WorkerFault& fault) const {
  const bool automatic = setting_.policy.progress == config::FailureSpec::Deadline::automatic;
  return fault.kind == WorkerFault::Kind::hung && (automatic || fault.commanded);
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
