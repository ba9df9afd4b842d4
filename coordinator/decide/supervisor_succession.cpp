// The part of the supervisor about successions: other processes take the places of workers while the pool predicts, as
// for a new version of their unit. Nothing is handed out to these workers any more; when they have answered what they
// have, all of them change, between two segments.
//
// The stages of a member change together. Those behind the first end what it has started, so that no segment is
// computed by stages of two versions. If one of them dies before that, the old version stays: its replacement has to go
// on with what the other stages of that version have answered.
#include <algorithm>
#include <utility>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

void Supervisor::supersede(std::vector<WorkerId> workers, Time now) {
  if (failed_) return;
  TUTTI_CHECK(superseded_.empty() && !workers.empty(), "one succession at a time");
  const std::vector<Rank> chain = setting_.chains.chain_of(hosting_.members_of(workers.front()).front());
  for (const WorkerId worker : workers) {
    const std::vector<Rank>& unit = hosting_.members_of(worker);
    TUTTI_CHECK(unit == hosting_.members_of(workers.front()) || std::ranges::count(chain, unit.front()) == 1,
                "the workers are of one unit, or of one member");
    for (const Rank rank : unit)
      TUTTI_CHECK(!work_[rank].training() && !work_[rank].commanded(), "a member that is trained has a state");
  }
  superseded_ = std::move(workers);
  if (chain.size() == 1) return retire_if_idle(now);
  for (const Rank stage : chain)
    for (const WorkerId worker : hosting_.workers_of(stage)) {
      TUTTI_CHECK(is_superseded(worker), "the stages of a member change together");
      if (lives_[worker].phase() == WorkerLife::Phase::waiting) return keep_chain(now);
    }
  retire_if_idle(now);
}

/// Whether it is of a stage that continues until what an earlier stage has started is done.
bool Supervisor::ends_chain(WorkerId worker) const {
  return setting_.chains.feeder_of(hosting_.members_of(worker).front()).has_value();
}

/// A stage of the old version is not there, and has something to end, perhaps.
void Supervisor::keep_chain(Time now) {
  call_off(now);
  actions_.push_back(action::Superseded{"a stage of its old version had to be replaced meanwhile; try again"});
}

void Supervisor::call_off(Time now) {
  for (const WorkerId worker : std::exchange(superseded_, {})) hand_out_pending(worker, now);
}

/// A worker that is starting, or ending, is waited for: its deadline holds as ever. One that died waits, and needs no
/// process of its old version.
void Supervisor::retire_if_idle(Time now) {
  using Phase = WorkerLife::Phase;
  const auto settled = [&](WorkerId worker) {
    const Phase phase = lives_[worker].phase();
    const auto pending = [&](Rank rank) { return !work_[rank].tasks.pending().empty(); };
    if (ends_chain(worker) && std::ranges::any_of(hosting_.members_of(worker), pending)) return false;
    return !any_in_flight(worker) && (phase == Phase::running || phase == Phase::waiting || phase == Phase::given_up);
  };
  if (superseded_.empty() || !std::ranges::all_of(superseded_, settled)) return;
  bool any = false;
  for (const WorkerId worker : superseded_) {
    WorkerLife& life = lives_[worker];
    if (life.phase() == Phase::given_up) continue;
    any = true;
    forget_actions(worker);
    const bool running = life.running();
    if (running) life.retire();
    life.renew();
    actions_.push_back(action::Retire{worker});
    if (!running) {
      spawn(worker, now);
      continue;
    }
    life.spawn(now);
    actions_.push_back(action::Spawn{worker, life.generation()});
  }
  superseded_.clear();
  actions_.push_back(action::Superseded{any ? "" : "its worker was given up"});
}

}  // namespace tutti
