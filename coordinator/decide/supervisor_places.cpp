// The part of the supervisor about members that come and go. Each has a worker of its own. The place of one that has
// gone is vacant: to everything else there is a member that is absent, until another takes the place. So places are
// used again, and their number is that of the members that were there at the same time.
#include <algorithm>
#include <utility>
#include <variant>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

Rank Supervisor::reserve(std::string name, std::string device) {
  TUTTI_CHECK(!command_ && std::ranges::none_of(work_, &MemberWork::training), "a command is for all members");
  if (!vacant_.empty()) {
    const Rank rank = *vacant_.begin();
    setting_.names[rank] = std::move(name);
    setting_.devices[hosting_.only_worker_of(rank)] = std::move(device);
    return rank;
  }
  hosting_ = hosting_.with_member();
  ledger_.rehost(hosting_);
  const Rank rank(work_.size());
  lives_.push_back(new_life());
  lives_[hosting_.only_worker_of(rank)].give_up();
  setting_.names.push_back(std::move(name));
  setting_.devices.push_back(std::move(device));
  setting_.modes.push_back(UnitMode::loop);
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

/// A process that is being killed is forgotten, too: it has no task, so it can read no slot.
void Supervisor::vacate(Rank rank) {
  if (failed_) return;
  const WorkerId worker = hosting_.only_worker_of(rank);
  MemberWork& work = work_[rank];
  WorkerLife& life = lives_[worker];
  TUTTI_CHECK(!vacant_.contains(rank), "a member leaves its place once");
  TUTTI_CHECK(!hosting_.shared(worker) && !is_superseded(worker), "its worker is its own");
  TUTTI_CHECK(!work.tasks.any_open() && !work.commanded() && !work.training(), "nobody asks a member that leaves");
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
  if (!work.absent()) work.leave({}, ledger_.next());
  vacant_.insert(rank);
  actions_.push_back(action::Vacate{worker});
  check_invariants();
}

}  // namespace tutti
