// The part of the supervisor about replicas: which of the workers of a unit gets a segment, and when an idle one takes
// over what another has. All of it is about time only: the bits are the same whichever answers first.
#include <algorithm>
#include <utility>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {
namespace {

using Seconds = Pace::Seconds;

// A replica of short segments gets the next one while it computes, so that it need not wait for it. One of long
// segments does not: what is in its ring is bound to it, and another might be free first.
constexpr Seconds kShort{0.020};
constexpr std::size_t kRoomIfShort = 2;
// Of shorter segments, nobody is called late before this time has passed: waking up takes a part of it.
constexpr Seconds kLeastPatience{0.001};

}  // namespace

/// That the worker has not answered for all members of its unit, in the order in which it got them.
std::vector<SegmentId> Supervisor::segments_of(WorkerId worker) const {
  std::vector<std::pair<Sequence, SegmentId>> tasks;
  for (const Rank rank : hosting_.members_of(worker))
    for (const SegmentId number : work_[rank].tasks.in_flight(worker))
      tasks.emplace_back(ledger_.at(number).rows[rank].task_of(worker)->sequence, number);
  std::ranges::sort(tasks);
  std::vector<SegmentId> segments;
  for (const auto& [sequence, number] : tasks)
    if (std::ranges::count(segments, number) == 0) segments.push_back(number);
  return segments;
}

bool Supervisor::has_segment(WorkerId worker, SegmentId segment) const {
  return std::ranges::any_of(hosting_.members_of(worker), [&](Rank rank) {
    return std::ranges::count(work_[rank].tasks.in_flight(worker), segment) > 0;
  });
}

/// The worker has answered a task of this segment: all of it, if that was the last.
void Supervisor::note_pace(WorkerId worker, SegmentId answered, Time now) {
  if (!has_segment(worker, answered)) lives_[worker].pace.answered(now);
  for (const WorkerId sister : hosting_.replicas_of(worker)) lives_[sister].sister_worked();
}

bool Supervisor::has_room(WorkerId worker) const {
  const auto segment = lives_[worker].pace.segment();
  const std::size_t room = segment && *segment < kShort ? std::min<std::size_t>(kRoomIfShort, setting_.slots) : 1;
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
    if (!may_get_tasks(sister) || !has_room(sister)) continue;
    // One whose pace is not known yet is tried first.
    Pace pace = lives_[sister].pace;
    const std::size_t ahead = segments_of(sister).size();
    if (ahead == 0) pace.begin(now);
    candidates.push_back({sister, pace.after(ahead + 1, Seconds(0))});
  }
  std::ranges::stable_sort(candidates, {}, &Candidate::done);
  return std::ranges::any_of(candidates, [&](const Candidate& one) { return hand_out_next(one.worker, now); });
}

/// The members of the unit for which an idle replica may compute the segment, too. None if a worker has died of it, if
/// two have it already, or if what it reads was refused and is being written again: the replica would refuse it, too.
std::vector<Rank> Supervisor::rows_to_take_over(WorkerId owner, SegmentId segment) const {
  std::vector<Rank> open;
  if (ledger_.at(segment).set_aside) return open;
  for (const Rank rank : hosting_.members_of(owner)) {
    const Ledger::Row& row = ledger_.at(segment).rows[rank];
    if (row.doubted || work_[rank].tasks.suspects(segment)) return {};
    if (const auto feeder = setting_.chains.feeder_of(rank); feeder && !ledger_.at(segment).rows[*feeder].answered)
      return {};
    if (row.is_open() && row.outs.size() == 1 && row.task_of(owner) != nullptr) open.push_back(rank);
  }
  return open;
}

/// What an idle replica may take over. If nobody of the unit has answered yet, nothing: no time is known. Nor from a
/// worker that was killed: what it computes may be the reason, and all of it comes back when it is gone.
std::vector<Supervisor::Straggler> Supervisor::stragglers(WorkerId idle) const {
  std::vector<Straggler> found;
  const auto own = lives_[idle].pace.segment();
  for (const WorkerId owner : hosting_.replicas_of(idle)) {
    const WorkerLife& life = lives_[owner];
    const Seconds needed = own.value_or(life.pace.segment().value_or(Seconds(0)));
    if (needed == Seconds(0) || !life.running() || !any_in_flight(owner)) continue;
    std::size_t ahead = 0;
    for (const SegmentId segment : segments_of(owner)) {
      const Time done = life.pace.after(++ahead, needed);
      if (!rows_to_take_over(owner, segment).empty())
        found.push_back({owner, segment, done, std::max(needed, kLeastPatience)});
    }
  }
  return found;
}

/// Idle replicas compute what others have a second time: the first segment of which the idle one would be done well
/// before its owner, or of which the owner is late. The first answer counts.
void Supervisor::take_over(WorkerId worker, Time now) {
  if (failed_ || !may_take_over_ || !hosting_.replicated(worker)) return;
  for (const WorkerId idle : hosting_.replicas_of(worker)) {
    if (!lives_[idle].running() || any_in_flight(idle)) continue;
    std::optional<Straggler> first;
    for (const Straggler& one : stragglers(idle)) {
      const bool slower = one.done - now > 1.5 * one.needed;
      if (!slower && now < one.late()) continue;
      if (!first || one.segment < first->segment) first = one;
    }
    if (first) hand_out_twice(idle, *first, now);
  }
}

void Supervisor::hand_out_twice(WorkerId idle, const Straggler& straggler, Time now) {
  const SegmentId segment = straggler.segment;
  const std::vector<Rank> members = rows_to_take_over(straggler.owner, segment);
  if (!ledger_.at(segment).held) actions_.push_back(action::Hold{ledger_.at(segment).slot});
  auto more = static_cast<std::uint32_t>(members.size());
  for (const Rank rank : members) {
    begin_if_idle(idle, rank, now);
    work_[rank].tasks.take_over(idle, segment);
    TaskRecord task = ledger_.hand_out(segment, rank, idle, lives_[idle].generation());
    note_author(segment, rank);
    task.more = --more;
    actions_.push_back(action::HandOut{idle, rank, task, true});
    ++counts_.taken_over;
  }
  TUTTI_CHECK(ledger_.at(segment).held, "the slot stays until the slower one has answered, too");
}

/// When take_over() has something to decide for this worker without an event, if it is idle.
std::optional<Supervisor::Time> Supervisor::next_take_over(WorkerId idle) const {
  if (!hosting_.replicated(idle) || !lives_[idle].running() || any_in_flight(idle)) return std::nullopt;
  std::optional<Time> first;
  for (const Straggler& one : stragglers(idle)) first = std::min(first.value_or(one.late()), one.late());
  return first;
}

std::optional<Supervisor::Time> Supervisor::next_take_over() const {
  if (failed_ || !may_take_over_ || !hosting_.any_replicated()) return std::nullopt;
  std::optional<Time> first;
  for (const WorkerId worker : lives_.ids())
    if (const auto next = next_take_over(worker)) first = std::min(first.value_or(*next), *next);
  return first;
}

}  // namespace tutti
