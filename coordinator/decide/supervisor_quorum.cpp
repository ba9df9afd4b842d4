// The part of the supervisor about the quorum: a segment is finished with the answers that are there. The only decision
// whose outcome depends on time and changes bytes.
#include <algorithm>
#include <vector>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

bool Supervisor::has_quorum(SegmentId number) const {
  return present_members(ledger_.at(number)) >= setting_.quorum->members.value_or(1);
}

/// Those that have not answered are not waited for. What a worker has of the segment it still computes, and the slot is
/// held until then; what nobody has is not handed out any more, nor are the stages behind what a worker still has.
void Supervisor::cut_if_enough(SegmentId number, Time now) {
  const auto found = cut_from_.find(number);
  if (failed_ || found == cut_from_.end() || now < found->second || !has_quorum(number)) return;
  const Ledger::Segment& segment = ledger_.at(number);
  TUTTI_CHECK(segment.open > 0, "a segment that all have answered is finished already");
  const bool held = segment.held;
  bool done = false;
  for (const Rank rank : work_.ids()) {
    const Ledger::Row& row = segment.rows[rank];
    if (!row.is_open()) continue;
    if (work_[rank].tasks.pending().contains(number)) work_[rank].tasks.forget(number);
    if (!setting_.chains.fed_from(rank)) ++counts_.not_waited_for;
    done = ledger_.leave_out(number, rank);
  }
  TUTTI_CHECK(done);
  if (segment.held && !held) actions_.push_back(action::Hold{segment.slot});
  finish(number);
}

void Supervisor::cut_late(Time now) {
  std::vector<SegmentId> due;  // first: a segment that is cut is not in the table any more
  for (const auto& [number, from] : cut_from_)
    if (now >= from) due.push_back(number);
  for (const SegmentId number : due) cut_if_enough(number, now);
}

std::optional<Supervisor::Time> Supervisor::next_soon() const {
  std::optional<Time> first = next_take_over();
  if (failed_) return first;
  for (const auto& [number, from] : cut_from_)
    if (has_quorum(number)) first = std::min(first.value_or(from), from);
  return first;
}

}  // namespace tutti
