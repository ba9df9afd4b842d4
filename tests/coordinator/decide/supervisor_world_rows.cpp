// The part of the made-up pool about rows that one process writes and another one reads.
#include "tests/coordinator/decide/supervisor_world.hpp"

namespace tutti::test {
namespace {

/// A process, in a field of the records that the supervisor does not look at.
constexpr std::uint32_t code_of(WorkerId worker, Generation generation) {
  return (static_cast<std::uint32_t>(worker.value()) << 16U) + generation.value() + 1;
}

}  // namespace

/// Whose rows the last task of the process reads.
void World::note_author(Process& process, Rank rank) const {
  TaskRecord& task = process.ring.back();
  const auto* const out = supervisor_.segment(task.segment).rows[rank].out_of(process.worker);
  must(out != nullptr, "a task that is handed out is not in the ledger");
  must(!supervisor_.chains().reads_rows(rank) || out->fed.has_value(), "nobody knows whose rows a task reads");
  if (out->fed) task.reserved = code_of(out->fed->worker, out->fed->generation);
}

/// How a process ends a task.
CompletionRecord World::draw_completion(Rank rank, const TaskRecord& task) {
  CompletionRecord record{task.sequence, task.segment, task.generation, task.slot, task.images, task.seat};
  record.begun_nanoseconds = task.reserved;
  const bool reads = setting_.nonsense && supervisor_.chains().reads_rows(rank);
  if (setting_.nan && task.kind == TaskKind::predict && chance(5))
    record.status = CompletionStatus::not_finite;
  else if (reads && !calm_ && chance(10))
    record.status = CompletionStatus::bad_feed;
  return record;
}

/// The process that wrote the rows is to be killed, and they are written again.
void World::refused(Rank rank, const CompletionRecord& record) {
  must(record.status == CompletionStatus::bad_feed, "a right answer is refused");
  ++refused_;
  for (const WorkerId worker : processes_.ids()) {
    const auto& process = processes_[worker];
    if (process && code_of(worker, process->generation) == record.begun_nanoseconds) process->distrusted = true;
  }
  Segment& segment = segments_.at(record.segment);
  const Rank feeder = supervisor_.chains().feeder_of(rank).value();
  must(!segment.accepted[rank], "what was answered is refused");
  auto& author = segment.accepted[feeder];
  if (author && !supervisor_.segment(record.segment).rows[feeder].answered) {
    must(code_of(author->first, author->second) == record.begun_nanoseconds, "the rows of another process are refused");
    author.reset();
  }
}

}  // namespace tutti::test
