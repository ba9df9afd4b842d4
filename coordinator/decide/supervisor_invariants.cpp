// The part of the supervisor that checks itself: what its parts know about the same thing must agree.
#include <algorithm>
#include <set>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

void Supervisor::check_invariants() const {
  if (failed_) return;  // the event that failed was not completed
  ledger_.check_invariants();
  check_counts();
  for (const Rank rank : work_.ids()) {
    check_member(rank);
    check_tasks(rank);
  }
  const bool commanded = std::any_of(work_.begin(), work_.end(), [](const auto& work) { return work.commanded(); });
  TUTTI_CHECK(command_.has_value() == commanded, "a command lasts until every member has answered it");
}

void Supervisor::check_counts() const {
  std::uint64_t deaths = past_.deaths;
  std::uint64_t restarts = past_.restarts;
  std::uint64_t ending = 0;
  for (const WorkerLife& life : lives_) {
    deaths += life.deaths();
    restarts += life.replaced() - life.retired();
    ending += life.phase() == WorkerLife::Phase::ending ? 1 : 0;
  }
  TUTTI_CHECK(counts_.deaths == deaths);
  TUTTI_CHECK(counts_.restarts == restarts);
  TUTTI_CHECK(counts_.hangs + counts_.violations <= counts_.deaths + ending, "a worker is killed for one reason");
}

void Supervisor::check_member(Rank rank) const {
  const MemberWork& work = work_[rank];
  work.check_invariants();
  for (const WorkerId worker : hosting_.workers_of(rank)) {
    const WorkerLife& life = lives_[worker];
    life.check_invariants();
    TUTTI_CHECK(!work.told() || life.has_process(), "only a process answers a command");
    TUTTI_CHECK(life.ran() || work.tasks.in_flight(worker).empty(), "only a process that has run has tasks");
  }
  const auto has_worker = [&](Rank stage) {
    return std::ranges::any_of(hosting_.workers_of(stage),
                               [&](WorkerId worker) { return lives_[worker].phase() != WorkerLife::Phase::given_up; });
  };
  for (const WorkerId worker : hosting_.workers_of(rank))
    TUTTI_CHECK(!all_gone(worker) || lives_[worker].phase() == WorkerLife::Phase::given_up || any_in_flight(worker),
                "a worker of a vacant place has something to end");
  TUTTI_CHECK(vacant_.contains(rank)
                  ? work.absent()
                  : work.absent() == !std::ranges::all_of(setting_.chains.chain_of(rank), has_worker),
              "a member is absent without a worker for each of its stages");
}

// Every row of the ledger that is not settled is a task of its member, and every task is such a row.
void Supervisor::check_tasks(Rank rank) const {
  const MemberTasks& tasks = work_[rank].tasks;
  const auto row = [&](SegmentId number) -> const Ledger::Row& { return ledger_.at(number).rows[rank]; };
  std::size_t unsettled = tasks.unsafe().size();
  std::set<SegmentId> in_flight;
  for (const WorkerId worker : hosting_.workers_of(rank))
    for (const SegmentId number : tasks.in_flight(worker)) {
      const TaskRecord* task = row(number).task_of(worker);
      TUTTI_CHECK(task != nullptr);
      TUTTI_CHECK(task->generation == lives_[worker].generation());
      // A sister may have answered it already.
      if (row(number).is_open() || row(number).kept) unsettled += in_flight.insert(number).second ? 1 : 0;
    }
  for (const SegmentId number : tasks.pending()) {
    TUTTI_CHECK(!row(number).out());
    TUTTI_CHECK(row(number).is_open() || row(number).kept, "no answer is asked for in vain");
    TUTTI_CHECK(!ledger_.at(number).set_aside);
    TUTTI_CHECK(!is_fed_nothing(number, rank), "what is left out is not computed on");
    ++unsettled;
  }
  for (const SegmentId number : tasks.unsafe()) TUTTI_CHECK(row(number).kept && row(number).answered);
  std::size_t rows = 0;
  for (const auto& entry : ledger_.segments())
    rows += (entry.second.rows[rank].is_open() && !waits_for_feeder(entry.first, rank)) || entry.second.rows[rank].kept
                ? 1
                : 0;
  TUTTI_CHECK(rows == unsettled, "a row that is nobody's task is never answered, and its slot is never free");
}

}  // namespace tutti
