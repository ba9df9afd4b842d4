// The part of the supervisor about successions: other processes take the places of workers while the pool predicts, as
// for a new version of their unit. Nothing is handed out to these workers any more; when they have answered what they
// have, all of them change, between two segments.
#include <algorithm>
#include <utility>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

void Supervisor::supersede(std::vector<WorkerId> workers, Time now) {
  if (failed_) return;
  TUTTI_CHECK(superseded_.empty() && !workers.empty(), "one succession at a time");
  for (const WorkerId worker : workers)
    TUTTI_CHECK(hosting_.members_of(worker) == hosting_.members_of(workers.front()), "the workers are of one unit");
  for (const Rank rank : hosting_.members_of(workers.front()))
    TUTTI_CHECK(!work_[rank].training() && !work_[rank].commanded(), "a member that is trained has a state");
  superseded_ = std::move(workers);
  retire_if_idle(now);
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
