// The part of the supervisor about rows that one worker writes and another one reads (common/wire/rows.hpp): what
// happens if the reader finds that their index is nonsense.
//
// The reader is right: it has copied the index before it looked at it, and what it says of a writer costs that one
// process at most. So the writer is killed and replaced, its answer is computed again, and then the reader gets its
// task again. For restart budget and poison this is a death of the writer while it computed that segment.
#include <fmt/format.h>

#include "common/check.hpp"
#include "common/wire/rows.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {

/// Remembers whose rows the task, which was just handed out, reads.
void Supervisor::note_author(SegmentId number, Rank rank) {
  if (!setting_.chains.reads_rows(rank)) return;
  auto& rows = ledger_.at(number).rows;
  const Ledger::Row& feeder = rows[setting_.chains.feeder_of(rank).value()];
  rows[rank].outs.back().fed = {feeder.by, feeder.completion.generation};
}

/// The worker has ended the task without an answer. Its row is open.
void Supervisor::refuse(WorkerId worker, Rank rank, const CompletionRecord& record, Time now) {
  const SegmentId number = record.segment;
  const Rank feeder = setting_.chains.feeder_of(rank).value();
  Ledger::Segment& segment = ledger_.at(number);
  const Ledger::Row& row = segment.rows[rank];
  const Ledger::Row& fed = segment.rows[feeder];
  const Ledger::Author author = row.out_of(worker)->fed.value();
  ledger_.take_back(number, rank, worker);
  accuse(author, {feeder, number}, record.detail, now);
  const bool same = fed.answered && Ledger::Author{fed.by, fed.completion.generation} == author;
  if (segment.set_aside) {
    if (!row.out() && ledger_.abandon(number, rank)) finish(number);
  } else if (same) {
    ledger_.ask_again(number, feeder);
    if (!fed.out()) work_[feeder].tasks.add(number);
  } else if (fed.answered) {  // by another process since then
    feed(number, feeder, now);
  }
  release(number);
  hand_out_pending(hosting_.workers_of(feeder).front(), now);
}

/// A reader found nonsense in what this process has written for the task.
void Supervisor::accuse(const Ledger::Author& author, const Given& task, std::uint64_t fault, Time now) {
  const WorkerLife& life = lives_[author.worker];
  if (life.generation() != author.generation || !life.has_process() || life.distrusted()) return;
  if (life.phase() != WorkerLife::Phase::ending) accused_.insert_or_assign(author.worker, task);
  violation(author.worker,
            fmt::format("the index of its rows of segment {} is nonsense: {}", ledger_.at(task.segment).index,
                        text_of(fault)),
            now);
}

/// What a process that has ended is to blame for: what it was killed for, or else what it was computing.
std::vector<Supervisor::Given> Supervisor::guilty_of(WorkerId worker, const std::vector<Given>& begun) const {
  const auto found = accused_.find(worker);
  if (found == accused_.end() || !ledger_.segments().contains(found->second.segment)) return begun;
  return {found->second};
}

/// Whether the end of a process proves that a segment is to blame, which is the only task in `guilty`.
bool Supervisor::computed_only(WorkerId worker, const std::vector<Given>& guilty) const {
  if (guilty.size() != 1) return false;
  const Given& task = guilty.front();
  // A segment that nobody waits for any more proves nothing.
  const Ledger::Row& row = ledger_.at(task.segment).rows[task.rank];
  if (!row.is_open()) return false;
  // It was nonsense before, and it is known which segment it was about.
  if (accused_.contains(worker)) return row.doubted && setting_.policy.poison_limit;
  // Of replicas, only a fresh one proves something: one that had computed others may have died of all of them together.
  const bool proves = !hosting_.replicated(worker) || lives_[worker].fresh();
  return proves && work_[task.rank].tasks.retries_suspect(worker);
}

}  // namespace tutti
