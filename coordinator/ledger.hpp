// The coordinator's private table of who has what: the only truth about progress. A pure state machine: no clock, no
// memory that others share, no I/O. Every (segment, member) is handed out and answered exactly once, or stays open.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/records.hpp"

namespace tutti {

/// What the ledger says to a completion record that came out of a worker's ring.
enum class Verdict {
  accepted,      ///< one answer more
  segment_done,  ///< ... and it was the segment's last
  stale,         ///< of an earlier generation of the worker: drop it
  violation,     ///< it answers nothing that this worker was asked: the worker broke the protocol
};

class Ledger {
 public:
  /// A member's answer as it stands in the ledger once accepted.
  struct Row {
    bool asked = false;
    bool answered = false;
    bool present = false;  ///< answered, and the answer is part of the result
    TaskRecord task;
    CompletionRecord completion;
  };
  struct Segment {
    std::uint32_t slot = 0;
    std::uint32_t images = 0;
    TaskKind kind = TaskKind::predict;
    bool set_aside = false;  ///< it killed too many workers: there is no result
    std::size_t open = 0;   ///< members asked that have not answered
    std::vector<Row> rows;  ///< by rank
  };

  explicit Ledger(std::size_t members) : members_(members), next_sequence_(members) {}

  /// Enters a segment and returns its number. `asked[rank]` says which members get it; at least one.
  std::uint64_t open(std::uint32_t slot, std::uint32_t images, TaskKind kind, const std::vector<bool>& asked);
  /// The record with which the segment is handed to a member that was asked, in this generation of its worker.
  TaskRecord hand_out(std::uint64_t segment, std::size_t rank, std::uint32_t generation);
  /// Judges a record, field by field, against what was handed out.
  Verdict accept(std::size_t rank, std::uint32_t generation, const CompletionRecord& record);
  /// Takes a segment out: done, or given up.
  Segment close(std::uint64_t segment);

  /// The segments that were handed to the member and are unanswered, oldest first.
  std::vector<std::uint64_t> unanswered(std::size_t rank) const;
  bool idle() const noexcept { return segments_.empty(); }

 private:
  std::size_t members_;
  std::uint64_t next_segment_ = 0;
  std::vector<std::uint64_t> next_sequence_;
  std::map<std::uint64_t, Segment> segments_;
};

}  // namespace tutti
