#include "coordinator/ledger.hpp"

#include <algorithm>
#include <cassert>

namespace tutti {

std::uint64_t Ledger::open(std::uint32_t slot, std::uint32_t images, TaskKind kind, const std::vector<bool>& asked) {
  assert(asked.size() == members_);
  Segment segment{slot, images, kind, false, 0, std::vector<Row>(members_)};
  for (std::size_t rank = 0; rank < members_; ++rank) {
    segment.rows[rank].asked = asked[rank];
    segment.open += asked[rank] ? 1 : 0;
  }
  assert(segment.open > 0);
  segments_.emplace(next_segment_, std::move(segment));
  return next_segment_++;
}

TaskRecord Ledger::hand_out(std::uint64_t number, std::size_t rank, std::uint32_t generation) {
  Segment& segment = segments_.at(number);
  Row& row = segment.rows.at(rank);
  assert(row.asked && !row.answered);
  row.task = {next_sequence_[rank]++, number, generation, segment.slot, segment.images, segment.kind};
  return row.task;
}

Verdict Ledger::accept(std::size_t rank, std::uint32_t generation, const CompletionRecord& record) {
  if (record.generation != generation) return record.generation < generation ? Verdict::stale : Verdict::violation;
  const auto found = segments_.find(record.segment);
  if (found == segments_.end()) return Verdict::violation;
  Segment& segment = found->second;
  Row& row = segment.rows[rank];
  const bool matches = row.asked && !row.answered && row.task.sequence == record.sequence &&
                       row.task.generation == record.generation && row.task.slot == record.slot &&
                       row.task.images == record.images;
  const bool sensible = record.status == CompletionStatus::done || record.status == CompletionStatus::not_finite;
  if (!matches || !sensible) return Verdict::violation;
  row.answered = true;
  row.present = true;
  row.completion = record;
  return --segment.open == 0 ? Verdict::segment_done : Verdict::accepted;
}

Ledger::Segment Ledger::close(std::uint64_t number) {
  const auto found = segments_.find(number);
  assert(found != segments_.end());
  Segment segment = std::move(found->second);
  segments_.erase(found);
  return segment;
}

std::vector<std::uint64_t> Ledger::unanswered(std::size_t rank) const {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, segment] : segments_)
    if (segment.rows[rank].asked && !segment.rows[rank].answered) numbers.push_back(number);
  return numbers;
}

}  // namespace tutti
