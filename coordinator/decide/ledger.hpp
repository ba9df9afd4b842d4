// The coordinator's private table of who has what: the only truth about progress. A pure state machine: no clock, no
// memory that others share, no I/O. Every (segment, member) is answered exactly once, or given up; what becomes of it
// in between (handed out, taken back after a death, handed out again) is decided by the supervisor.
//
// A segment lives from open() to close(). One that is held, as training segments are, stays in the table after close()
// until every member has it in a checkpoint: its tasks may have to be done again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.hpp"
#include "common/wire/records.hpp"

namespace tutti {

/// What the ledger says to a completion record that came out of a worker's ring.
enum class Verdict {
  accepted,      ///< one answer more
  segment_done,  ///< ... and it was the segment's last
  repeated,      ///< right, but the row had been answered before: a task that was done again after a death
  stale,         ///< of an earlier generation of the worker: drop it
  violation,     ///< it answers nothing that this worker was asked: the worker broke the protocol
};

class Ledger {
 public:
  /// A member's answer as it stands in the ledger once accepted.
  struct Row {
    bool asked = false;
    bool answered = false;
    bool present = false;     ///< answered, and the answer is part of the result
    bool out = false;         ///< handed to the member's worker, which has not answered
    bool abandoned = false;   ///< asked, but given up before it was answered
    bool kept = false;        ///< of a held segment: the member may have to do it again
    std::uint32_t times = 0;  ///< handed out
    TaskRecord task;          ///< as it was handed out last
    CompletionRecord completion;
  };
  struct Segment {
    SlotId slot{};
    std::uint32_t images = 0;
    TaskKind kind = TaskKind::predict;
    bool set_aside = false;  ///< there is no result: it killed too many workers, or no member's answer is present
    std::size_t open = 0;    ///< members asked that have not answered
    ByRank<Row> rows;
    std::uint64_t index = 0;   ///< its number within its call, for people
    bool last = false;         ///< no training segment follows
    std::uint32_t deaths = 0;  ///< of workers that computed this segment alone
    bool held = false;         ///< its slot is: see hold()
    bool closed = false;       ///< its results were taken
  };

  explicit Ledger(std::size_t members) : members_(members), counts_(members) {}

  /// Enters a segment and returns its number. `asked[rank]` says which members get it.
  SegmentId open(SlotId slot, std::uint32_t images, TaskKind kind, const ByRank<bool>& asked, std::uint64_t index = 0,
                 bool last = false);
  /// The record with which the segment is handed to a member that was asked, in this generation of its worker.
  TaskRecord hand_out(SegmentId segment, Rank rank, Generation generation, std::uint32_t checkpoint = 0);
  /// Judges a record, field by field, against what was handed out.
  Verdict accept(Rank rank, Generation generation, const CompletionRecord& record);
  /// Takes the results of a segment: done, or given up.
  Segment close(SegmentId segment);

  /// The worker is gone: it will not answer.
  void take_back(SegmentId segment, Rank rank);
  /// Forgets an answer that nobody will read. Only while the segment is not done.
  void ask_again(SegmentId segment, Rank rank);
  /// No answer of this member is waited for any more, nor will it do the segment again. True where the segment is done
  /// by that.
  bool abandon(SegmentId segment, Rank rank);

  /// Keeps the slot until every member has settled.
  void hold(SegmentId segment);
  /// The member will not have to do the segment again.
  void settle(SegmentId segment, Rank rank);
  /// The slot, once, where a held segment is done and settled by all.
  std::optional<SlotId> release(SegmentId segment);

  /// A segment that is not closed, or held.
  Segment& at(SegmentId segment) { return segments_.at(segment); }
  const Segment& at(SegmentId segment) const { return segments_.at(segment); }
  const std::map<SegmentId, Segment>& segments() const noexcept { return segments_; }
  /// The number that the next segment will have.
  SegmentId next() const noexcept { return next_segment_; }

 private:
  /// Tasks are numbered from 0 in each generation.
  struct Count {
    Generation generation{};
    Sequence next{};
  };

  std::size_t members_;
  SegmentId next_segment_{};
  ByRank<Count> counts_;
  std::map<SegmentId, Segment> segments_;
};

}  // namespace tutti
