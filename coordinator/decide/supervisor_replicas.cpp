// The part of the supervisor about replicas: which of the workers of a unit gets a segment, and when an idle one takes
// over what another has. All of it is about time only: the bits are the same whichever answers first.
#include <algorithm>
#include <array>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {
namespace {

using Seconds = Pace::Seconds;

// A replica of short tasks gets the next one while it computes, so that it need not wait for it. One of long tasks does
// not: what is in its ring is bound to it, and another might be free first.
constexpr Seconds kShortTask{0.020};
constexpr std::size_t kRoomIfShort = 2;
// Of shorter tasks, nobody is called late before this time has passed: waking up takes a part of it.
constexpr Seconds kLeastPatience{0.001};

}  // namespace

/// How many answers the worker owes.
std::size_t Supervisor::tasks_of(WorkerId worker) const {
  std::size_t tasks = 0;
  for (const Rank rank : hosting_.members_of(worker)) tasks += work_[rank].tasks.in_flight(worker).size();
  return tasks;
}

/// How many answers the worker owes until it has given this one.
std::size_t Supervisor::tasks_until(WorkerId worker, const Given& last) const {
  const auto sequence_of = [&](const Given& task) {
    return ledger_.at(task.segment).rows[task.rank].task_of(worker)->sequence;
  };
  std::size_t tasks = 0;
  for (const Rank rank : hosting_.members_of(worker))
    for (const SegmentId segment : work_[rank].tasks.in_flight(worker))
      tasks += sequence_of({rank, segment}) <= sequence_of(last) ? 1 : 0;
  return tasks;
}

bool Supervisor::has_room(WorkerId worker) const {
  const auto task = lives_[worker].pace.task();
  const std::size_t room = task && *task < kShortTask ? std::min<std::size_t>(kRoomIfShort, setting_.slots) : 1;
  return std::ranges::all_of(hosting_.members_of(worker),
                             [&](Rank rank) { return work_[rank].tasks.in_flight(worker).size() < room; });
}

/// Of the worker and its sisters, the one that would finish the next segment first gets it. False if none may get one.
bool Supervisor::hand_out_to_first(WorkerId worker, Time now) {
  struct Candidate {
    WorkerId worker;
    Time done;
  };
  std::vector<Candidate> candidates;
  for (const WorkerId sister : hosting_.replicas_of(worker)) {
    if (!lives_[sister].running() || !has_room(sister)) continue;
    // One whose pace is not known yet is tried first.
    Pace pace = lives_[sister].pace;
    const std::size_t tasks = tasks_of(sister);
    if (tasks == 0) pace.begin(now);
    candidates.push_back({sister, pace.after(tasks + hosting_.members_of(sister).size(), Seconds(0))});
  }
  std::ranges::stable_sort(candidates, {}, &Candidate::done);
  return std::ranges::any_of(candidates, [&](const Candidate& one) { return hand_out_next(one.worker, now); });
}

/// What an idle replica may take over. If nobody of the unit has answered yet, nothing: no time is known.
std::vector<Supervisor::Straggler> Supervisor::stragglers(WorkerId idle) const {
  std::vector<Straggler> found;
  for (const WorkerId owner : hosting_.replicas_of(idle)) {
    const WorkerLife& life = lives_[owner];
    const auto own = lives_[idle].pace.task();
    const Seconds task = own.value_or(life.pace.task().value_or(Seconds(0)));
    if (task == Seconds(0)) continue;
    for (const Rank rank : hosting_.members_of(owner))
      for (const SegmentId number : work_[rank].tasks.in_flight(owner)) {
        const Ledger::Segment& segment = ledger_.at(number);
        const Ledger::Row& row = segment.rows[rank];
        if (!row.is_open() || row.outs.size() == Ledger::kMostOuts || segment.set_aside) continue;
        if (work_[rank].tasks.suspects(number)) continue;
        const Given given{rank, number};
        const Time done = life.running() ? life.pace.after(tasks_until(owner, given), task) : Time::max();
        found.push_back({given, done, std::max(task, kLeastPatience)});
      }
  }
  return found;
}

/// Idle replicas compute what others have a second time: the first segment of which the idle one would be done well
/// before its owner, or of which the owner is late. The first answer counts.
void Supervisor::take_over(WorkerId worker, Time now) {
  if (failed_ || !hosting_.replicated(worker)) return;
  for (const WorkerId idle : hosting_.replicas_of(worker)) {
    if (!lives_[idle].running() || any_in_flight(idle)) continue;
    std::optional<Given> first;
    for (const Straggler& one : stragglers(idle)) {
      const bool slower = one.done - now > 1.5 * one.task_time;
      if (!slower && now < one.late()) continue;
      if (!first || one.task.segment < first->segment) first = one.task;
    }
    if (first) hand_out_twice(idle, *first, now);
  }
}

void Supervisor::hand_out_twice(WorkerId idle, Given task, Time now) {
  begin_if_idle(idle, now);
  work_[task.rank].tasks.take_over(idle, task.segment);
  if (const Ledger::Segment& segment = ledger_.at(task.segment); !segment.held)
    actions_.push_back(action::Hold{segment.slot});
  const TaskRecord record = ledger_.hand_out(task.segment, task.rank, idle, lives_[idle].generation());
  TUTTI_CHECK(ledger_.at(task.segment).held, "the slot stays until the slower one has answered, too");
  actions_.push_back(action::HandOut{idle, task.rank, record, true});
  ++counts_.taken_over;
}

/// When take_over() has something to decide for this worker without an event, if it is idle.
std::optional<Supervisor::Time> Supervisor::next_take_over(WorkerId idle) const {
  if (!hosting_.replicated(idle) || !lives_[idle].running() || any_in_flight(idle)) return std::nullopt;
  std::optional<Time> first;
  for (const Straggler& one : stragglers(idle))
    if (one.done != Time::max()) first = std::min(first.value_or(one.late()), one.late());
  return first;
}

}  // namespace tutti
