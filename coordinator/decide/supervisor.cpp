#include "coordinator/decide/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/check.hpp"

namespace tutti {

Supervisor::Supervisor(SupervisorSetting setting)
    : setting_(std::move(setting)),
      hosting_(setting_.hosting.value_or(Hosting::one_each(setting_.names.size()))),
      ledger_(hosting_),
      lives_(hosting_.workers(), new_life()),
      work_(hosting_.members()),
      deaths_(hosting_.members()) {
  TUTTI_CHECK(!work_.empty());
  TUTTI_CHECK(hosting_.members() == setting_.names.size());
  TUTTI_CHECK(hosting_.workers() == setting_.devices.size());
  setting_.modes.resize(hosting_.workers());
  TUTTI_CHECK(setting_.slots > 0);
  TUTTI_CHECK(setting_.checkpoint_segments == 1 || setting_.checkpoint_segments < setting_.slots,
              "there are slots for all tasks from one checkpoint to the next");
}

WorkerLife Supervisor::new_life(Generation first) const {
  return WorkerLife({setting_.policy, setting_.deadlines, setting_.start_deadline, setting_.kill_deadline}, first);
}

std::optional<Action> Supervisor::next() {
  if (actions_.empty()) return std::nullopt;
  Action action = std::move(actions_.front());
  actions_.pop_front();
  return action;
}

// ---- the end of the pool -------------------------------------------------------------------------------------------

void Supervisor::fail(Error error) {
  if (failed_) return;
  failed_ = true;
  actions_.push_back(action::Fail{std::move(error)});
}

bool Supervisor::any_member_left() const {
  for (const Rank rank : work_.ids())
    if (!absent(rank) && !misses_stage(rank)) return true;
  return false;
}

Error Supervisor::no_member_left() const {
  std::string reasons;
  for (const MemberWork& work : work_)
    if (work.absent() && reasons.find(work.absent_reason()) == reasons.npos)  // stages leave for one reason
      reasons += (reasons.empty() ? "" : "\n          ") + work.absent_reason();
  return Error(ErrorKind::failed, "no member is left", reasons,
               "look at what the workers printed; 'restarts' says how often each is replaced");
}

// ---- questions -----------------------------------------------------------------------------------------------------

bool Supervisor::busy() const {
  return std::any_of(work_.begin(), work_.end(),
                     [](const MemberWork& work) { return work.tasks.any_open() || work.commanded(); }) ||
         std::any_of(lives_.begin(), lives_.end(),
                     [](const WorkerLife& life) { return life.phase() == WorkerLife::Phase::preparing; });
}

bool Supervisor::all_running() const {
  const auto count = [this](WorkerLife::Phase phase) {
    return std::count_if(lives_.begin(), lives_.end(), [&](const WorkerLife& life) { return life.phase() == phase; });
  };
  const auto running = count(WorkerLife::Phase::running);
  return running > 0 && running + count(WorkerLife::Phase::given_up) == static_cast<std::ptrdiff_t>(lives_.size());
}

void Supervisor::note_all_running() { all_ran_ = all_ran_ || all_running(); }

WorkerState Supervisor::state(WorkerId worker) const {
  switch (lives_[worker].phase()) {
    case WorkerLife::Phase::waiting:
      return WorkerState::waiting;
    case WorkerLife::Phase::starting:
    case WorkerLife::Phase::preparing:
      return WorkerState::starting;
    case WorkerLife::Phase::running:
      return WorkerState::running;
    case WorkerLife::Phase::ending:
      return WorkerState::ending;
    case WorkerLife::Phase::given_up:
      break;
  }
  return WorkerState::absent;
}

std::string Supervisor::place_of(WorkerId worker) const {
  const std::vector<Rank>& members = hosting_.members_of(worker);
  const std::string first = place_of(worker, members.front());
  return members.size() == 1 ? first : fmt::format("{} and {} more", first, members.size() - 1);
}

std::string Supervisor::place_of(WorkerId worker, Rank rank) const {
  const std::vector<WorkerId>& replicas = hosting_.replicas_of(worker);
  const auto which = std::ranges::find(replicas, worker) - replicas.begin();
  const std::string replica =
      replicas.size() == 1 ? "" : fmt::format(" (replica {} of {})", which + 1, replicas.size());
  return fmt::format("{}{} on {}", setting_.names[rank], replica, setting_.devices[worker]);
}

bool Supervisor::any_in_flight(WorkerId worker) const {
  return std::ranges::any_of(hosting_.members_of(worker),
                             [&](Rank rank) { return !work_[rank].tasks.in_flight(worker).empty(); });
}

Generation Supervisor::generation(WorkerId worker) const { return lives_[worker].generation(); }

bool Supervisor::absent(Rank rank) const { return work_[rank].absent(); }

void Supervisor::describe(Rank rank, MemberStatus& status) const {
  const MemberWork& work = work_[rank];
  status.state = WorkerState::absent;
  status.generation = 0;
  for (const WorkerId worker : hosting_.workers_of(rank)) {
    // A member with replicas is as well as the best of them.
    const WorkerState now = state(worker);
    if (status.state == WorkerState::absent || now == WorkerState::running) status.state = now;
    status.generation += replaced(worker);
  }
  if (work.absent()) status.state = WorkerState::absent;  // another stage of it may be what is missing
  status.deaths = deaths_[rank];
  status.absent_reason = work.absent_reason();
  status.absent_from_segment.reset();
  if (work.absent_from()) status.absent_from_segment = work.absent_from()->value();
}

}  // namespace tutti
