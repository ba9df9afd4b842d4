// The part of the supervisor about members that come and go. One that comes has a worker of its own. The place of one
// that has gone is vacant: to everything else there is a member that is absent, until another takes the place. So
// places are used again, and their number is that of the members that were there at the same time.
//
// A worker may still compute what nobody waits for, since another was faster: it leaves when it has answered.
//
// A member that goes may have shared its worker, or have had replicas or stages. All workers of a unit leave with its
// last member. Until then a member that has gone keeps its seat, since the processes that run have loaded it; the next
// process does not, and the place becomes one with a worker of its own (part_from_gone()).
#include <algorithm>
#include <utility>
#include <variant>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

Rank Supervisor::reserve(std::string name, std::string device) {
  TUTTI_CHECK(!command_ && std::ranges::none_of(work_, &MemberWork::training), "a command is for all members");
  // Its worker is its own, and has left.
  const auto is_free = [&](Rank rank) {
    const WorkerId worker = hosting_.workers_of(rank).front();
    return hosting_.replicas_of(worker).size() == 1 && !hosting_.shared(worker) &&
           setting_.chains.chain_of(rank).size() == 1 && lives_[worker].phase() == WorkerLife::Phase::given_up;
  };
  if (const auto found = std::ranges::find_if(vacant_, is_free); found != vacant_.end()) {
    const Rank rank = *found;
    setting_.names[rank] = std::move(name);
    setting_.devices[hosting_.only_worker_of(rank)] = std::move(device);
    return rank;
  }
  hosting_ = hosting_.with_member();
  const Rank rank(work_.size());
  lives_[add_worker(std::move(device))].give_up();
  setting_.names.push_back(std::move(name));
  deaths_.push_back(0);
  work_.push_back({});
  work_[rank].leave({}, ledger_.next());
  vacant_.insert(rank);
  return rank;
}

void Supervisor::join(Rank rank, Time now) {
  if (failed_) return;
  TUTTI_CHECK(vacant_.erase(rank) == 1, "a member takes a vacant place");
  const WorkerId worker = hosting_.only_worker_of(rank);
  lives_[worker] = new_life(lives_[worker].generation());
  work_[rank] = MemberWork();
  deaths_[rank] = 0;
  spawn(worker, now);
  check_invariants();
}

/// The last worker of the hosting is new.
WorkerId Supervisor::add_worker(std::string device) {
  ledger_.rehost(hosting_);
  const WorkerId worker(lives_.size());
  lives_.push_back(new_life());
  setting_.modes.push_back(UnitMode::loop);
  setting_.devices.push_back(std::move(device));
  return worker;
}

void Supervisor::vacate(Rank rank) {
  if (failed_) return;
  TUTTI_CHECK(!vacant_.contains(rank), "a member leaves its place once");
  const std::vector<Rank> chain = setting_.chains.chain_of(rank);
  for (const Rank stage : chain) {
    MemberWork& work = work_[stage];
    const auto waits = [&](const auto& entry) { return entry.second.rows[stage].is_open(); };
    TUTTI_CHECK(std::ranges::none_of(ledger_.segments(), waits) && !work.commanded() && !work.training(),
                "nobody asks a member that leaves");
    if (!work.absent()) work.leave_with_others({}, ledger_.next());
    vacant_.insert(stage);
  }
  for (const Rank stage : chain) {
    const std::vector<WorkerId> workers = hosting_.workers_of(stage);
    if (all_gone(workers.front())) {
      for (const WorkerId worker : workers)
        if (!any_in_flight(worker)) leave_place(worker);  // else when it has answered: dismiss_if_useless()
    } else if (!lives_[workers.front()].has_process()) {
      part_from_gone(workers.front());  // its next process is still to come
    }
  }
  check_invariants();
}

/// Whether every member of its unit has gone.
bool Supervisor::all_gone(WorkerId worker) const {
  return std::ranges::all_of(hosting_.members_of(worker), [&](Rank rank) { return vacant_.contains(rank); });
}

/// A process that is being killed is forgotten, too: it has no task, so it can read no slot.
void Supervisor::leave_place(WorkerId worker) {
  WorkerLife& life = lives_[worker];
  TUTTI_CHECK(!is_superseded(worker), "a member that goes gets no new version");
  const bool killed = life.phase() == WorkerLife::Phase::ending;
  counts_.deaths += killed ? 1 : 0;
  past_.deaths += life.deaths() + (killed ? 1 : 0);
  past_.restarts += life.replaced() - life.retired();
  forget_actions(worker);
  std::erase_if(actions_, [worker](const Action& action) {
    const auto* spawn = std::get_if<action::Spawn>(&action);
    return spawn != nullptr && spawn->worker == worker;
  });
  life = new_life(Generation(life.generation().value() + (life.started() ? 1U : 0U)));
  life.give_up();
  actions_.push_back(action::Vacate{worker});
}

/// The next process of this worker need not load those that have gone: they get places of their own, without a worker.
/// Those of replicas stay, since the processes of the others have them, and those that are fused, whose bits depend on
/// them. A new version that is ready has loaded all of them.
void Supervisor::part_from_gone(WorkerId worker) {
  if (hosting_.replicated(worker) || setting_.modes[worker.value()] == UnitMode::fused || is_superseded(worker)) return;
  const std::vector<Rank> unit = hosting_.members_of(worker);
  for (const Rank rank : unit) {
    if (!vacant_.contains(rank) || !hosting_.shared(worker)) continue;
    hosting_ = hosting_.with_own_worker(rank);
    const WorkerId own = add_worker(std::string(setting_.devices[worker]));
    lives_[own].give_up();
    actions_.push_back(action::Move{worker, rank, own});
  }
}

}  // namespace tutti
