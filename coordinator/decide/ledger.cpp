#include "coordinator/decide/ledger.hpp"

#include <algorithm>

#include "common/check.hpp"

namespace tutti {
namespace {

void check_row(SegmentId number, const Ledger::Segment& segment, const Ledger::Row& row) {
  TUTTI_CHECK(row.asked || (row.times == 0 && !row.answered && !row.abandoned && !row.kept),
              "a member that was not asked has no part in the segment");
  TUTTI_CHECK(!row.later || !row.asked, "a member is asked when its round comes");
  TUTTI_CHECK(row.answered || !row.present);
  TUTTI_CHECK(!row.abandoned || !(row.answered || row.kept), "nothing counts of a member that was given up");
  TUTTI_CHECK(segment.held || !(row.abandoned && row.out()), "the slot is held for what is not waited for");
  TUTTI_CHECK(segment.held || !row.kept);
  TUTTI_CHECK(segment.held || !(row.out() && row.answered), "what is answered is done again only if it is held");
  TUTTI_CHECK(segment.held || row.outs.size() < 2, "the slot is held for the slower of two workers");
  for (const Ledger::Out& out : row.outs) TUTTI_CHECK(out.task.segment == number);
}

}  // namespace

SegmentId Ledger::open(SlotId slot, std::uint32_t images, TaskKind kind, const ByRank<bool>& asked, std::uint64_t index,
                       bool last, const ByRank<Round>& rounds) {
  TUTTI_CHECK(asked.size() == hosting_.members());
  TUTTI_CHECK(rounds.empty() || (rounds.size() == asked.size() && kind == TaskKind::predict));
  Segment segment;
  segment.slot = slot;
  segment.images = images;
  segment.kind = kind;
  segment.index = index;
  segment.last = last;
  segment.rows = ByRank<Row>(hosting_.members());
  segment.asked_in = {images};
  for (const Rank rank : segment.rows.ids()) {
    Row& row = segment.rows[rank];
    row.round = rounds.empty() ? Round{} : rounds[rank];
    row.images = images;
    row.asked = asked[rank] && row.round == Round{};
    row.later = asked[rank] && !row.asked;
    segment.open += row.asked ? 1 : 0;
  }
  const SegmentId number = next_segment_;
  segments_.emplace(number, std::move(segment));
  ++next_segment_;
  return number;
}

void Ledger::judge(SegmentId number) {
  Segment& segment = segments_.at(number);
  TUTTI_CHECK(segment.open == 0 && !segment.judged && !segment.closed && segment.any_later());
  segment.judged = true;
}

void Ledger::begin_round(SegmentId number, Round round, std::uint32_t images) {
  Segment& segment = segments_.at(number);
  TUTTI_CHECK(segment.judged, "a round begins when the answers of those before were judged");
  TUTTI_CHECK(round > segment.round(), "rounds come in order");
  TUTTI_CHECK(images > 0 && images <= segment.images);
  segment.judged = false;
  segment.asked_in.resize(round.value() + std::size_t{1});
  segment.asked_in.back() = images;
  for (Row& row : segment.rows) row.later = row.later && row.round >= round;
}

void Ledger::ask(SegmentId number, Rank rank) {
  Segment& segment = segments_.at(number);
  Row& row = segment.rows[rank];
  TUTTI_CHECK(row.later && row.round == segment.round(), "a member is asked in its round");
  row.later = false;
  row.asked = true;
  row.images = segment.asked_in.back();
  ++segment.open;
}

void Ledger::miss(SegmentId number, Rank rank) {
  Segment& segment = segments_.at(number);
  Row& row = segment.rows[rank];
  TUTTI_CHECK(row.later && row.round == segment.round());
  row.later = false;
  row.missed = true;
}

void Ledger::end_rounds(SegmentId number) {
  Segment& segment = segments_.at(number);
  TUTTI_CHECK(segment.judged);
  segment.judged = false;
  for (Row& row : segment.rows) row.later = false;
}

void Ledger::rehost(Hosting hosting) {
  TUTTI_CHECK(hosting.members() >= hosting_.members(), "members are added");
  TUTTI_CHECK(hosting.workers() >= hosting_.workers(), "workers are added");
  hosting_ = std::move(hosting);
  while (counts_.size() < hosting_.workers()) counts_.push_back({});
  for (auto& [number, segment] : segments_)
    while (segment.rows.size() < hosting_.members()) segment.rows.push_back({});
}

TaskRecord Ledger::hand_out(SegmentId number, Rank rank, WorkerId worker, Generation generation,
                            std::uint32_t checkpoint) {
  Segment& segment = segments_.at(number);
  Row& row = segment.rows[rank];
  TUTTI_CHECK(row.asked);
  TUTTI_CHECK(!row.abandoned, "nobody waits for it");
  TUTTI_CHECK(!segment.set_aside, "no further worker gets a segment that was set aside");
  TUTTI_CHECK(row.task_of(worker) == nullptr, "a worker has a task only once");
  TUTTI_CHECK(row.outs.size() < kMostOuts, "a task is taken over once");
  TUTTI_CHECK(!row.answered || row.kept, "only training is done again");
  TUTTI_CHECK(std::ranges::count(hosting_.workers_of(rank), worker) == 1, "a task goes to a worker of its member");
  Count& count = counts_[worker];
  TUTTI_CHECK(count.generation <= generation, "a later worker is of a later generation");
  if (count.generation != generation) count = {generation, {}};
  if (row.out()) segment.held = true;
  ++row.times;
  row.outs.push_back({worker,
                      {count.next, number, generation, segment.slot, row.images, segment.kind, row.round, checkpoint,
                       /*batch*/ 0, hosting_.seat_of(rank)}});
  ++count.next;
  return row.outs.back().task;
}

Verdict Ledger::accept(WorkerId worker, Generation generation, const CompletionRecord& record) {
  if (record.generation != generation) return record.generation < generation ? Verdict::stale : Verdict::violation;
  const auto found = segments_.find(record.segment);
  const std::vector<Rank>& unit = hosting_.members_of(worker);
  if (found == segments_.end() || record.seat.value() >= unit.size()) return Verdict::violation;
  Segment& segment = found->second;
  Row& row = segment.rows[unit[record.seat.value()]];
  const Out* const out = row.out_of(worker);
  const TaskRecord* const task = out == nullptr ? nullptr : &out->task;
  const bool refuses = record.status == CompletionStatus::bad_feed;
  const bool matches = task != nullptr && task->sequence == record.sequence && task->generation == record.generation &&
                       task->slot == record.slot && task->images == record.images;
  const bool sensible = record.status == CompletionStatus::done || record.status == CompletionStatus::not_finite ||
                        (refuses && out != nullptr && out->fed);
  if (!matches || !sensible) return Verdict::violation;
  if (refuses && row.is_open()) return Verdict::refused;
  forget_out(row, worker);
  if (row.answered || row.abandoned) return Verdict::repeated;
  TUTTI_CHECK(segment.open > 0);
  row.answered = true;
  row.present = true;
  row.by = worker;
  row.completion = record;
  return --segment.open == 0 ? Verdict::segment_done : Verdict::accepted;
}

void Ledger::forget_out(Row& row, WorkerId worker) {
  const auto found = std::ranges::find(row.outs, worker, &Out::worker);
  TUTTI_CHECK(found != row.outs.end());
  row.outs.erase(found);
}

Ledger::Segment Ledger::close(SegmentId number) {
  const auto found = segments_.find(number);
  TUTTI_CHECK(found != segments_.end());
  TUTTI_CHECK(!found->second.closed, "results are taken only once");
  TUTTI_CHECK(found->second.open == 0, "results are complete when they are taken");
  found->second.closed = true;
  if (found->second.held) return found->second;
  Segment segment = std::move(found->second);
  segments_.erase(found);
  return segment;
}

void Ledger::take_back(SegmentId number, Rank rank, WorkerId worker) {
  forget_out(segments_.at(number).rows[rank], worker);
}

void Ledger::ask_again(SegmentId number, Rank rank) {
  Segment& segment = segments_.at(number);
  Row& row = segment.rows[rank];
  TUTTI_CHECK(segment.open > 0, "the results of a finished segment are read");
  TUTTI_CHECK(row.answered);
  row.answered = false;
  row.present = false;
  ++segment.open;
}

bool Ledger::abandon(SegmentId number, Rank rank) {
  Segment& segment = segments_.at(number);
  Row& row = segment.rows[rank];
  row.kept = false;
  row.outs.clear();
  if (!row.is_open()) return false;
  TUTTI_CHECK(segment.open > 0);
  row.abandoned = true;
  return --segment.open == 0;
}

bool Ledger::leave_out(SegmentId number, Rank rank) {
  Segment& segment = segments_.at(number);
  Row& row = segment.rows[rank];
  TUTTI_CHECK(row.is_open() && segment.open > 0);
  TUTTI_CHECK(segment.kind == TaskKind::predict, "training waits for every member");
  row.abandoned = true;
  segment.held = segment.held || row.out();
  --segment.open;
  return segment.open == 0;
}

void Ledger::hold(SegmentId number) {
  Segment& segment = segments_.at(number);
  TUTTI_CHECK(!segment.held && !segment.closed);
  segment.held = true;
  for (Row& row : segment.rows) row.kept = row.asked;
}

void Ledger::settle(SegmentId number, Rank rank) {
  Row& row = segments_.at(number).rows[rank];
  TUTTI_CHECK(row.kept, "a member settles a segment only once");
  TUTTI_CHECK(row.answered && !row.out(), "what a member has settled it has answered");
  row.kept = false;
}

std::optional<SlotId> Ledger::release(SegmentId number) {
  const auto found = segments_.find(number);
  TUTTI_CHECK(found != segments_.end());
  Segment& segment = found->second;
  const bool needed = std::ranges::any_of(segment.rows, [](const Row& row) { return row.kept || row.out(); });
  if (!segment.held || segment.open > 0 || needed) return std::nullopt;
  const SlotId slot = segment.slot;
  segment.held = false;
  if (segment.closed) segments_.erase(found);
  return slot;
}

void Ledger::check_invariants() const {
  for (const auto& entry : segments_) {
    const Segment& segment = entry.second;
    TUTTI_CHECK(segment.held || !segment.closed, "only a held segment outlives its closing");
    std::size_t open = 0;
    for (const Row& row : segment.rows) {
      check_row(entry.first, segment, row);
      open += row.is_open() ? 1 : 0;
    }
    TUTTI_CHECK(segment.open == open);
    TUTTI_CHECK(!segment.judged || (open == 0 && !segment.closed), "answers are judged when they are there");
    TUTTI_CHECK(!segment.closed || !segment.any_later() || segment.set_aside, "results are taken after the last round");
  }
}

}  // namespace tutti
