// The coordinator's private table of which worker has which task, and the only authority on progress. A pure state
// machine: no clock, no shared memory, no I/O. Every (segment, member) is answered exactly once, or given up; the
// supervisor decides what happens to it in between (handed out, taken back after a death, handed out again).
//
// With a cascade a segment has rounds: the members of the first are asked at once; once they have answered,
// begin_round() and ask() ask those of a later round for some of the samples, or end_rounds() says that no further one
// is asked.
//
// A segment lives from open() to close(). A held segment stays in the table after close(): in training until every
// member has it in a checkpoint, because its tasks may have to be done again; or until no worker reads its slot any
// more, if a sister was faster than a worker that still computes it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/container/small_vector.hpp>
#include <boost/container/static_vector.hpp>

#include "common/ids.hpp"
#include "common/wire/records.hpp"
#include "coordinator/decide/hosting.hpp"
#include "coordinator/decide/terms.hpp"

namespace tutti {

/// The ledger's verdict on a completion record from a worker's ring.
enum class Verdict {
  accepted,      ///< a new answer
  refused,       ///< no answer: what another worker has written for it is nonsense; the task is the worker's until
                 ///< take_back()
  segment_done,  ///< ... and it was the segment's last
  repeated,      ///< valid, but the row had been answered before, by a sister or in training; or was left out
  stale,         ///< from an earlier generation of the worker: drop it
  violation,     ///< it matches no task of this worker: the worker broke the protocol
};

class Ledger {
 public:
  /// A process: a worker in one of its generations.
  struct Author {
    WorkerId worker;
    Generation generation;
    friend bool operator==(const Author&, const Author&) = default;
  };
  /// A task that a worker has.
  struct Out {
    WorkerId worker;
    TaskRecord task;
    std::optional<Author> fed{};  ///< who wrote the rows that it reads, and their index; nothing: it reads no rows
  };
  /// A task is handed to one worker, and a second time only to a sister that takes over.
  static constexpr std::size_t kMostOuts = 2;
  using Outs = boost::container::static_vector<Out, kMostOuts>;
  /// A member's part of a segment, with its answer once that was accepted.
  struct Row {
    bool asked = false;
    bool answered = false;
    bool present = false;    ///< answered, and part of the result
    bool abandoned = false;  ///< asked, but given up before it was answered; a worker may still have it: leave_out()
    bool doubted = false;    ///< a worker died while it computed it: no second worker gets it at the same time
    bool kept = false;       ///< in a held segment: the member may have to do it again
    bool later = false;      ///< its round is still to come, or is left out
    bool missed = false;     ///< its round came when the member was absent
    Round round{};
    std::uint32_t images = 0;  ///< that it was asked for
    std::uint32_t times = 0;   ///< handed out
    Outs outs;                 ///< of the workers that have it and have not answered yet
    WorkerId by{};             ///< who answered
    CompletionRecord completion;

    /// An answer is still to come.
    bool is_open() const noexcept { return asked && !answered && !abandoned; }
    bool out() const noexcept { return !outs.empty(); }
    const Out* out_of(WorkerId worker) const noexcept {
      const auto found = std::ranges::find(outs, worker, &Out::worker);
      return found == outs.end() ? nullptr : &*found;
    }
    /// The worker's task; null if it has none.
    const TaskRecord* task_of(WorkerId worker) const noexcept {
      const Out* const out = out_of(worker);
      return out == nullptr ? nullptr : &out->task;
    }
  };
  struct Segment {
    SlotId slot{};
    std::uint32_t images = 0;
    TaskKind kind = TaskKind::predict;
    bool set_aside = false;  ///< without a result: it killed too many workers, or no member's answer is present
    bool shared = false;     ///< see Terms::shared
    std::size_t open = 0;    ///< number of members asked that have not answered
    ByRank<Row> rows;
    std::uint64_t index = 0;   ///< its number within its call, for people
    Extent extent{};           ///< of its call, for people
    bool last = false;         ///< the last segment of a training
    std::uint32_t deaths = 0;  ///< of workers that computed only this segment
    bool held = false;         ///< its slot is held: see hold()
    bool closed = false;       ///< its results were taken
    /// Samples that each round so far asked for, by number of the round; the first asks for all.
    boost::container::small_vector<std::uint32_t, 1> asked_in;
    bool judged = false;  ///< somebody is finding out which round is next

    Round round() const { return Round(asked_in.size() - 1); }
    bool any_later() const {
      return std::ranges::any_of(rows, [](const Row& row) { return row.later; });
    }
  };

  explicit Ledger(Hosting hosting) : hosting_(std::move(hosting)), counts_(hosting_.workers()) {}
  /// Each member has a worker of its own.
  explicit Ledger(std::size_t members) : Ledger(Hosting::one_each(members)) {}

  /// Members have moved, none that has a task; or further ones have come, which no segment so far asks.
  void rehost(Hosting hosting);

  /// Enters a segment and returns its number. `asked[rank]` says which members get it, and `rounds` when; empty: all in
  /// the first.
  SegmentId open(SlotId slot, std::uint32_t images, TaskKind kind, const ByRank<bool>& asked, std::uint64_t index = 0,
                 bool last = false, const ByRank<Round>& rounds = {});
  /// Every answer is there: somebody looks at them, and begin_round() or end_rounds() follows.
  void judge(SegmentId segment);
  /// A later round of a segment that is judged asks for so many samples. The rounds that are passed over ask for none.
  /// ask() or miss() follows for each of its members.
  void begin_round(SegmentId segment, Round round, std::uint32_t images);
  void ask(SegmentId segment, Rank rank);
  void miss(SegmentId segment, Rank rank);
  void end_rounds(SegmentId segment);
  /// The record that hands the segment to a member that was asked, in this generation of one of its workers. If a
  /// sister has it, too, the slot is held until both have answered or are gone; see release().
  TaskRecord hand_out(SegmentId segment, Rank rank, WorkerId worker, Generation generation,
                      std::uint32_t checkpoint = 0);
  /// Checks a record, field by field, against what was handed out.
  Verdict accept(WorkerId worker, Generation generation, const CompletionRecord& record);
  /// Takes the results of a segment: done, or given up.
  Segment close(SegmentId segment);

  /// The worker is gone: it will not answer.
  void take_back(SegmentId segment, Rank rank, WorkerId worker);
  /// Forgets an answer that will not be read. Only while the segment is not done.
  void ask_again(SegmentId segment, Rank rank);
  /// The ledger waits no longer for this member, which will not do the segment again. True if that completes the
  /// segment.
  bool abandon(SegmentId segment, Rank rank);

  /// The segment does not wait for this member, whose answer is still to come. If a worker has it, the slot is held
  /// until it has answered or is gone; see release(). True if that completes the segment.
  bool leave_out(SegmentId segment, Rank rank);

  /// Keeps the slot until every member has settled the segment.
  void hold(SegmentId segment);
  /// The member will not have to do the segment again.
  void settle(SegmentId segment, Rank rank);
  /// Returns the slot, once, when a held segment is done, every member has settled it, and no worker has it any more.
  std::optional<SlotId> release(SegmentId segment);

  /// Fails if facts that belong together do not agree. Between any two calls they do.
  void check_invariants() const;

  /// A segment that is open or held.
  Segment& at(SegmentId segment) { return segments_.at(segment); }
  const Segment& at(SegmentId segment) const { return segments_.at(segment); }
  const std::map<SegmentId, Segment>& segments() const noexcept { return segments_; }
  /// The number of the next segment.
  SegmentId next() const noexcept { return next_segment_; }

 private:
  /// The tasks of a worker are numbered from 0 in each generation.
  struct Count {
    Generation generation{};
    Sequence next{};
  };

  static void forget_out(Row& row, WorkerId worker);

  Hosting hosting_;
  SegmentId next_segment_{};
  ByWorker<Count> counts_;
  std::map<SegmentId, Segment> segments_;
};

}  // namespace tutti
