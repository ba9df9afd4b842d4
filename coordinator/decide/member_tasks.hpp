// The order of one member's tasks: which are pending, which its workers have, and, in training, which it has answered
// but not yet saved in a checkpoint. Also when it writes a checkpoint, and to which of its two files. The ledger knows
// what the tasks are.
//
//   pending --hand_out()--> in flight --answer()--> (predict) forgotten
//      ^                        |               \-> (train) unsafe --a later checkpoint is confirmed--> safe: forgotten
//      +--------lose()----------+------------------------+
//
// A worker answers its tasks in the order in which it got them. Replicas take the pending tasks from one list; a task
// may be in flight twice, if one of them takes over what another has. Only a member with one worker is trained. A
// checkpoint is valid once the completion of its task was accepted; every task up to it is then safe. No second
// checkpoint is requested before that, so the file being written is never the valid one, even if completions are lost
// with a worker that broke the protocol.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include <boost/container/flat_set.hpp>

#include "common/ids.hpp"

namespace tutti {

class MemberTasks {
 public:
  /// Adds a task, or adds one again that had been answered.
  void add(SegmentId segment);
  /// The task will not be done (again); it must not be in flight.
  void forget(SegmentId segment);
  /// The same of one that is in flight, or is not there.
  void forget_pending(SegmentId segment);
  void forget_all();

  const boost::container::flat_set<SegmentId>& pending() const noexcept { return pending_; }
  /// What the worker has, oldest first.
  const std::deque<SegmentId>& in_flight(WorkerId worker) const noexcept;
  bool any_in_flight() const noexcept {
    return std::ranges::any_of(lanes_, [](const Lane& lane) { return !lane.in_flight.empty(); });
  }
  std::optional<SegmentId> latest_in_flight() const noexcept;
  bool any_open() const noexcept { return !pending_.empty() || any_in_flight(); }

  /// Whether the first pending task may be handed to the worker now. `checkpoint`: the task makes one; see due().
  bool may_hand_out(WorkerId worker, bool checkpoint) const;
  /// Whether a training task that is handed out next makes a checkpoint: every `every`-th, and the `last`.
  bool due(std::uint32_t every, bool last) const { return last || since_checkpoint_ + 1 >= every; }
  /// Hands out the first pending task, and returns TaskRecord::checkpoint.
  std::uint32_t hand_out(WorkerId worker, bool train, bool checkpoint);
  /// A second worker gets a task that another has.
  void take_over(WorkerId worker, SegmentId segment);
  /// The worker answered its oldest task. Returns the training tasks that this makes safe, itself included.
  std::vector<SegmentId> answer(WorkerId worker, bool train);
  /// The worker is gone: all tasks that are not safe, and that no other worker has, must be done again, in order.
  void lose(WorkerId worker);

  /// The tasks that may each have killed a worker: the worker that gets one gets no other task until it has answered
  /// it.
  void suspect(SegmentId segment);
  bool suspects(SegmentId segment) const { return suspects_.contains(segment); }
  bool any_suspect() const { return !suspects_.empty(); }
  bool any_suspect_pending() const;
  /// Whether the last task that the worker was given is suspect, and so nothing is handed out behind it.
  bool holds_suspect(WorkerId worker) const;
  /// Whether the worker computes a suspect task and nothing else.
  bool retries_suspect(WorkerId worker) const;

  /// The file with the state after the last safe task, of this training or an earlier one; nothing if that is the state
  /// in which the member was loaded.
  std::optional<std::uint32_t> checkpoint() const noexcept { return safe_file_; }
  /// Whether no task of this training is safe yet, so that training starts again from that state.
  bool begins() const noexcept { return begins_; }
  /// A new training starts. Returns the tasks that were not safe and need not be done again: if a worker dies, an
  /// earlier training that was cut short continues from its last checkpoint.
  std::vector<SegmentId> begin_training();

  /// Answered, but not safe; oldest first.
  const std::vector<SegmentId>& unsafe() const noexcept { return unsafe_; }
  /// Fails if facts that belong together do not agree. Between two events they do.
  void check_invariants() const;

 private:
  /// What one worker has.
  struct Lane {
    WorkerId worker;
    std::deque<SegmentId> in_flight;  // oldest first
  };
  Lane& lane(WorkerId worker);
  bool is_in_flight(SegmentId segment) const;

  boost::container::flat_set<SegmentId> pending_;  // new ones come last, and the first goes first: no node for each
  std::vector<Lane> lanes_;                        // of the workers that have had a task since they were lost
  std::vector<SegmentId> unsafe_;                  // oldest first
  std::set<SegmentId> suspects_;
  std::optional<std::uint32_t> safe_file_;
  bool begins_ = false;
  std::optional<SegmentId> unconfirmed_;  // the task in flight that makes a checkpoint
  std::uint32_t since_checkpoint_ = 0;    // training tasks handed out
};

}  // namespace tutti
