// The part of the supervisor about the stages of a member: when one of them has something to compute on, and what
// happens to the others when one cannot go on.
//
// A stage is a row of the segment like any other, of a rank of its own. It becomes a task when the stage before it has
// answered. That answer stays where it is until the segment is done, so a stage that dies computes on it again, and the
// stage before it is not asked twice.
#include <algorithm>
#include <utility>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

/// Whether the row is open, and nobody's task before its feeder has answered: for the first time, or again.
bool Supervisor::waits_for_feeder(SegmentId number, Rank rank) const {
  const auto feeder = setting_.chains.feeder_of(rank);
  if (!feeder) return false;
  const auto& rows = ledger_.at(number).rows;
  return rows[rank].is_open() && !rows[rank].out() && !rows[*feeder].answered;
}

/// How many members have an answer in the result. What a stage before the last has answered is none.
std::uint32_t Supervisor::present_members(const Ledger::Segment& segment) const {
  std::uint32_t present = 0;
  for (const Rank rank : segment.rows.ids())
    present += segment.rows[rank].present && !setting_.chains.fed_from(rank) ? 1 : 0;
  return present;
}

/// The member has answered: the stage behind it, if there is one, has something to compute on. If the answer is left
/// out of the result, so is what would have been made of it.
void Supervisor::feed(SegmentId number, Rank rank, Time now) {
  const auto next = setting_.chains.fed_from(rank);
  if (!next || !ledger_.at(number).rows[*next].is_open()) return;
  if (ledger_.at(number).rows[*next].out()) return;  // a replica is still at what was refused by another
  if (is_fed_nothing(number, *next)) return leave_out_behind(number, rank);
  TUTTI_CHECK(!ledger_.at(number).set_aside, "nothing of a segment that was set aside waits for an answer");
  work_[*next].tasks.add(number);
  hand_out_pending(hosting_.workers_of(*next).front(), now);
}

/// Whether the stage before it has answered, and that answer is left out of the result.
bool Supervisor::is_fed_nothing(SegmentId number, Rank rank) const {
  const auto feeder = setting_.chains.feeder_of(rank);
  if (!feeder) return false;
  const Ledger::Row& row = ledger_.at(number).rows[*feeder];
  return row.answered && !row.present;
}

/// Of all stages behind this one nothing is expected any more. The next one is nobody's task.
void Supervisor::leave_out_behind(SegmentId number, Rank rank) {
  bool done = false;
  for (auto next = setting_.chains.fed_from(rank); next; next = setting_.chains.fed_from(*next))
    done = ledger_.abandon(number, *next);
  if (done) finish(number);
}

/// What a stage can be loaded for is known once the stage before it is ready.
void Supervisor::start_fed(WorkerId ready, Time now) {
  for (const Rank rank : hosting_.members_of(ready))
    if (const auto next = setting_.chains.fed_from(rank))
      for (const WorkerId worker : hosting_.workers_of(*next))
        if (!lives_[worker].started()) spawn(worker, now);
}

/// Whether a stage before it must be ready before the worker can be started.
bool Supervisor::starts_later(WorkerId worker) const {
  return std::ranges::any_of(hosting_.members_of(worker),
                             [&](Rank rank) { return setting_.chains.feeder_of(rank).has_value(); });
}

/// Nobody needs the worker any more: another stage of its member has no worker left.
bool Supervisor::is_useless(WorkerId worker) const {
  return std::ranges::all_of(hosting_.members_of(worker), [&](Rank rank) { return absent(rank); });
}

/// Whether another stage of the member has left.
bool Supervisor::misses_stage(Rank rank) const {
  if (!setting_.chains.feeder_of(rank) && !setting_.chains.fed_from(rank)) return false;
  return std::ranges::any_of(setting_.chains.chain_of(rank), [&](Rank stage) { return absent(stage); });
}

/// Another stage of the same member has no worker left. What a worker of this one has it still computes, and the slot
/// is held until then; then its process leaves.
void Supervisor::leave_with(Rank rank, const std::string& reason) {
  MemberWork& work = work_[rank];
  std::vector<SegmentId> open;  // collected first: finish() changes the table
  for (const auto& [number, segment] : ledger_.segments())
    if (segment.rows[rank].is_open()) open.push_back(number);
  for (const SegmentId number : open) {
    const Ledger::Segment& segment = ledger_.at(number);
    work.tasks.forget_pending(number);
    const bool held = segment.held;
    const bool done = ledger_.leave_out(number, rank);
    if (segment.held && !held) actions_.push_back(action::Hold{segment.slot});
    if (done) finish(number);
  }
  work.leave_with_others(reason, open.empty() ? ledger_.next() : open.front());
  for (const WorkerId worker : hosting_.workers_of(rank)) dismiss_if_useless(worker);
}

/// Its memory is free then. A process that is starting is dismissed once it runs, and one that is being killed is not
/// replaced.
void Supervisor::dismiss_if_useless(WorkerId worker) {
  WorkerLife& life = lives_[worker];
  if (failed_ || !life.running() || !is_useless(worker) || any_in_flight(worker)) return;
  if (all_gone(worker)) return leave_place(worker);
  forget_actions(worker);
  life.dismiss();
  actions_.push_back(action::Vacate{worker});
}

/// Whether the answer, which is in a channel that is no longer read, was passed on before: then it is needed no more,
/// or being read.
bool Supervisor::is_passed_on(SegmentId number, Rank rank) const {
  const auto next = setting_.chains.fed_from(rank);
  if (!next) return false;
  const Ledger::Row& row = ledger_.at(number).rows[*next];
  return row.answered || row.abandoned || row.out();
}

}  // namespace tutti
