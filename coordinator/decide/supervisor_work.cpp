// The part of the supervisor about the members' work: it hands out tasks and checks answers.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/check.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

std::optional<SegmentId> Supervisor::open(SlotId slot, std::uint32_t images, TaskKind kind, const ByRank<bool>& asked,
                                          std::uint64_t index, bool last, Time now, const Terms& terms) {
  TUTTI_CHECK(asked.size() <= work_.size());
  TUTTI_CHECK(slot.value() < setting_.slots);
  TUTTI_CHECK(images > 0);
  TUTTI_CHECK(images <= setting_.segment_images);
  if (failed_) return std::nullopt;
  for (const auto& entry : ledger_.segments())
    TUTTI_CHECK(entry.second.slot != slot, "a slot is filled again only when nobody needs its images");
  TUTTI_CHECK(abandoned_.empty() || !abandoned_.slots().contains(slot),
              "an abandoned process may still read this slot");
  // Whether a member of a later round is absent is known when the round comes.
  ByRank<bool> present = asked;
  while (present.size() < work_.size()) present.push_back(false);
  for (const Rank rank : vacant_) TUTTI_CHECK(!present[rank], "a member is asked while it is there");
  for (const Rank rank : work_.ids())
    if (absent(rank) && (terms.rounds.empty() || terms.rounds[rank] == Round{})) present[rank] = false;
  if (!any_member_left()) {
    fail(no_member_left());
    return std::nullopt;
  }
  const SegmentId segment = ledger_.open(slot, images, kind, present, index, last, terms.rounds);
  ledger_.at(segment).shared = terms.shared;
  ledger_.at(segment).extent = terms.extent;
  if (kind == TaskKind::train) {
    ledger_.hold(segment);
    actions_.push_back(action::Hold{slot});
  }
  if (terms.quorum && setting_.quorum)
    cut_from_[segment] = now + std::chrono::duration_cast<Time::duration>(
                                   std::chrono::duration<double>(setting_.quorum->deadline.value_or(0)));
  for (const Rank rank : work_.ids())
    if (ledger_.at(segment).rows[rank].asked && !waits_for_feeder(segment, rank)) work_[rank].tasks.add(segment);
  hand_out_all(now);
  // All the members asked are absent, but others are not.
  if (ledger_.at(segment).open == 0) finish(segment);
  return segment;
}

void Supervisor::go_on(SegmentId number, const std::optional<NextRound>& next, Time now) {
  if (failed_) return;
  if (!next) {
    ledger_.end_rounds(number);
    return finish(number);
  }
  ledger_.begin_round(number, next->round, next->images);
  for (const Rank rank : work_.ids()) {
    const Ledger::Row& row = ledger_.at(number).rows[rank];
    if (!row.later || row.round != next->round) continue;
    if (absent(rank)) {
      ledger_.miss(number, rank);
      continue;
    }
    ledger_.ask(number, rank);
  }
  for (const Rank rank : work_.ids())
    if (ledger_.at(number).rows[rank].asked && ledger_.at(number).rows[rank].round == next->round &&
        !waits_for_feeder(number, rank))
      work_[rank].tasks.add(number);
  hand_out_all(now);
  if (ledger_.at(number).open == 0) finish(number);
}

void Supervisor::hand_out_all(Time now) {
  for (const WorkerId worker : lives_.ids())
    if (hosting_.replicas_of(worker).front() == worker) hand_out_pending(worker, now);
}

// While some slots cannot be used, the others must be enough to reach the next checkpoint.
bool Supervisor::makes_checkpoint(Rank rank, SegmentId number) const {
  const Ledger::Segment& segment = ledger_.at(number);
  if (segment.kind != TaskKind::train) return false;
  const auto lost = static_cast<std::uint32_t>(abandoned_.slots().size());
  const std::uint32_t usable = setting_.slots - std::min(lost, setting_.slots);
  const std::uint32_t every =
      lost == 0 ? setting_.checkpoint_segments : std::min(setting_.checkpoint_segments, std::max(usable, 2U) - 1);
  return work_[rank].tasks.due(every, segment.last);
}

/// Segment by segment, and for each segment member by member. If the worker has sisters, each segment goes to one of
/// them.
void Supervisor::hand_out_pending(WorkerId worker, Time now) {
  if (failed_) return;
  retire_if_idle(now);
  if (pulls(worker)) {
    while (hand_out_to_first(worker, now)) {
    }
    return take_over(worker, now);
  }
  if (may_get_tasks(worker))
    while (hand_out_next(worker, now)) {
    }
  for (const Rank rank : hosting_.members_of(worker)) tell_if_due(rank, now);
}

/// The members of the unit that may get tasks from this worker. If one has a task that may have killed a worker, only
/// that one, so that the worker computes nothing else: what kills it is then known.
std::span<const Rank> Supervisor::may_be_served(WorkerId worker) const {
  const std::span<const Rank> unit = hosting_.members_of(worker);
  if (std::ranges::none_of(unit, [&](Rank rank) { return work_[rank].tasks.any_suspect(); })) return unit;
  const auto told = [&](Rank rank) { return work_[rank].told(); };
  if (std::ranges::any_of(unit, [&](Rank rank) { return work_[rank].tasks.holds_suspect(worker); })) return {};
  if (std::ranges::any_of(unit, told)) return {};
  for (std::size_t seat = 0; seat < unit.size(); ++seat) {
    if (!work_[unit[seat]].tasks.any_suspect_pending()) continue;
    // In a loop it comes after what the worker has; otherwise it would be computed at the same time.
    if (setting_.modes[worker.value()] != UnitMode::loop && any_in_flight(worker)) return {};
    return unit.subspan(seat, 1);
  }
  return unit;
}

/// Hands the worker the first segment that one of its members waits for, for all of them that wait for it. False if
/// there is none.
bool Supervisor::hand_out_next(WorkerId worker, Time now) {
  std::optional<SegmentId> first;
  waiting_.clear();  // those that wait for the first
  for (const Rank rank : may_be_served(worker)) {
    const auto number = work_[rank].next();
    if (!number || (first && *number > *first)) continue;
    if (!work_[rank].tasks.may_hand_out(worker, makes_checkpoint(rank, *number))) continue;
    if (number != first) waiting_.clear();
    first = number;
    waiting_.push_back(rank);
  }
  auto more = static_cast<std::uint32_t>(waiting_.size());
  for (const Rank rank : waiting_) hand_out(worker, rank, *first, --more, now);
  return first.has_value();
}

/// `more`: see TaskRecord.
void Supervisor::hand_out(WorkerId worker, Rank rank, SegmentId number, std::uint32_t more, Time now) {
  TUTTI_CHECK(!waits_for_feeder(number, rank), "a stage computes on what the one before it has answered");
  begin_if_idle(worker, rank, now);
  const bool checkpoint = makes_checkpoint(rank, number);
  const bool train = ledger_.at(number).kind == TaskKind::train;
  const std::uint32_t file = work_[rank].hand_out(worker, train, checkpoint);
  TaskRecord task = ledger_.hand_out(number, rank, worker, lives_[worker].generation(), file);
  note_author(number, rank);
  task.more = more;
  if (ledger_.at(number).rows[rank].times > 1) ++counts_.handed_out_again;
  actions_.push_back(action::HandOut{worker, rank, task});
}

/// The worker is about to be given a task of this member.
void Supervisor::begin_if_idle(WorkerId worker, Rank rank, Time now) {
  TUTTI_CHECK(work_[rank].tasks.in_flight(worker).size() < setting_.slots, "the rings have room for every task");
  if (any_in_flight(worker)) return;
  lives_[worker].clock.begin(now);
  lives_[worker].pace.begin(now);
}

Acceptance Supervisor::completion(WorkerId worker, Generation generation, const CompletionRecord& record, Time now) {
  WorkerLife& life = lives_[worker];
  if (failed_ || life.phase() == WorkerLife::Phase::given_up) return Acceptance::dropped;
  if (generation != life.generation() || !life.has_process() || record.generation < generation) {
    ++counts_.stale_dropped;
    return Acceptance::dropped;
  }
  if (life.distrusted()) return Acceptance::dropped;
  const std::vector<Rank>& unit = hosting_.members_of(worker);
  if (record.seat.value() >= unit.size()) {
    violation(worker, "it answered for a member that it does not host", now);
    return Acceptance::violation;
  }
  const Rank rank = unit[record.seat.value()];
  MemberWork& work = work_[rank];
  const auto& in_flight = work.tasks.in_flight(worker);
  const bool known = std::find(in_flight.begin(), in_flight.end(), record.segment) != in_flight.end();
  if (record.generation == generation && known && in_flight.front() != record.segment) {
    violation(worker, "it answered a task before an earlier one", now);
    return Acceptance::violation;
  }
  const Verdict verdict = ledger_.accept(worker, generation, record);
  TUTTI_CHECK(verdict != Verdict::stale, "what is stale was dropped");
  if (verdict == Verdict::violation) {
    violation(worker, "it answered a task that it was not given", now);
    return Acceptance::violation;
  }
  const bool repeated = verdict == Verdict::repeated;
  const bool train = ledger_.at(record.segment).kind == TaskKind::train;
  const bool refused = verdict == Verdict::refused;
  const Acceptance acceptance = refused ? Acceptance::refused : repeated ? Acceptance::repeated : Acceptance::accepted;
  // Of a prediction that a sister has made meanwhile, nothing is read.
  if (record.status == CompletionStatus::not_finite && (train || !repeated) &&
      !accept_not_finite(worker, rank, record, repeated))
    return acceptance;
  TUTTI_CHECK(known, "the ledger accepts only what is in flight");
  life.worked();
  life.clock.answered(now);
  const auto safe = work.tasks.answer(worker, train);
  if (pulls(worker)) note_pace(worker, record.segment, now);
  if (refused) refuse(worker, rank, record, now);
  if (verdict == Verdict::segment_done) finish(record.segment);
  if (verdict == Verdict::accepted) {
    cut_if_enough(record.segment, now);
    feed(record.segment, rank, now);
  }
  if (repeated && !train) release(record.segment);
  for (const SegmentId number : safe) {
    ledger_.settle(number, rank);
    release(number);
  }
  hand_out_pending(worker, now);
  dismiss_if_useless(worker);
  check_slots();
  return acceptance;
}

// A model that computes NaN is not a fault of its worker: it ends the call, or the training. False if this ends the
// pool.
bool Supervisor::accept_not_finite(WorkerId worker, Rank rank, const CompletionRecord& record, bool repeated) {
  Ledger::Segment& segment = ledger_.at(record.segment);
  const std::string place = place_of(worker, rank);
  if (segment.kind == TaskKind::train) {
    fail(Error(ErrorKind::failed, fmt::format("{} diverged: its loss is NaN or infinite", place), {},
               "lower its 'learning_rate', or look at the images and their labels"));
    return false;
  }
  const std::string answered = fmt::format("{} predicted NaN or infinity on segment {}", place, segment.index);
  const std::string first = fmt::format("first in image {} of the segment", record.detail);
  if (setting_.policy.on_nan == OnNan::error) {
    actions_.push_back(action::FailCall{
        record.segment,
        Error(ErrorKind::failed, answered, first,
              "check the model and its input; 'on_nan: allow' lets such values into the result, 'on_nan: degrade' "
              "leaves the member out of the segment"),
        record.detail});
    return true;
  }
  if (setting_.policy.on_nan == OnNan::degrade && !repeated) {
    segment.rows[rank].present = false;
    if (segment.shared) return true;  // the guilty call will say so
    ++counts_.not_finite_dropped;
    actions_.push_back(action::Say{fmt::format("{}, {}; this output is left out", answered, first)});
  }
  return true;
}

void Supervisor::finish(SegmentId number) {
  Ledger::Segment& segment = ledger_.at(number);
  TUTTI_CHECK(segment.open == 0);
  TUTTI_CHECK(!segment.closed, "a segment is finished only once");
  if (segment.any_later() && !segment.set_aside) {
    ledger_.judge(number);
    actions_.push_back(action::Judge{number});
    return;
  }
  cut_from_.erase(number);
  if (segment.kind == TaskKind::predict && present_members(segment) == 0 && !segment.set_aside) {
    segment.set_aside = true;
    if (!segment.shared) ++counts_.set_aside;
  }
  actions_.push_back(action::Finish{number});
  release(number);
}

Ledger::Segment Supervisor::close(SegmentId segment) { return ledger_.close(segment); }

void Supervisor::release(SegmentId segment) {
  if (const auto slot = ledger_.release(segment)) actions_.push_back(action::Release{*slot});
}

// If processes do not end, a slot may never become free again. Then no segment could be filled, and nothing in flight
// could change that.
void Supervisor::check_slots() {
  if (failed_ || abandoned_.empty()) return;
  std::set<SlotId> kept = abandoned_.slots();
  const std::size_t abandoned = kept.size();
  const bool open =
      std::any_of(work_.begin(), work_.end(), [](const MemberWork& work) { return work.tasks.any_open(); }) ||
      std::ranges::any_of(ledger_.segments(), [](const auto& entry) { return entry.second.judged; });
  for (const auto& [number, segment] : ledger_.segments())
    if (segment.held && !open) kept.insert(segment.slot);
  if (kept.size() < setting_.slots) return;
  fail(Error(ErrorKind::failed, "no slot is left for a segment",
             fmt::format("{} of {} are kept for processes that do not end even after SIGKILL, {} for tasks that may "
                         "have to be done again",
                         abandoned, setting_.slots, kept.size() - abandoned),
             "find out why those processes, whose pids are in the report, hang in the kernel; or raise 'slots'"));
}

}  // namespace tutti
