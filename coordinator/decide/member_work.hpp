// The work of a member: its tasks, its part of the current command, and the training so far that a replacement must
// repeat. A pure state machine. It knows nothing of processes, phases and deadlines; those are the life of a worker
// (worker_life.hpp).
//
// A member's part of a command:
//
//   part \ event   command   tell   answer   lose   leave
//   none           owed      -      -        none   none
//   owed           -         told   -        owed   none
//   told           -         -      none     owed   none
//
//   lose: its worker is gone. leave: the ensemble continues without the member. -: a bug, and a failed check.
//
// A command is about the state after the tasks that came before it. So the member is told when it has answered those
// tasks, and gets no later task until it has answered the command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.hpp"
#include "coordinator/decide/member_tasks.hpp"

namespace tutti {

class MemberWork {
 public:
  enum class Part : std::uint8_t { none, owed, told };
  enum class Event : std::uint8_t { command, tell, answer, lose, leave };

  // ---- the command
  /// A command is given to all members. The segments below the number `before` come before it.
  void command(SegmentId before);
  /// Whether the part is owed, and every task that comes before it has been answered.
  bool may_be_told() const;
  void tell();
  void answer() { step(Event::answer); }
  bool owes() const noexcept { return part_ == Part::owed; }
  bool told() const noexcept { return part_ == Part::told; }
  bool commanded() const noexcept { return part_ != Part::none; }

  // ---- training
  /// A replacement must be brought to the member's state from now on. Returns the tasks that need not be done again.
  std::vector<SegmentId> begin_training();
  /// Training could not begin.
  void stop_training() { training_ = false; }
  bool training() const noexcept { return training_; }

  // ---- tasks
  /// The first pending task, if no command comes before it. tasks.may_hand_out() says whether it may be handed out now.
  std::optional<SegmentId> next() const;
  /// Hands out next(), and returns TaskRecord::checkpoint.
  std::uint32_t hand_out(WorkerId worker, bool train, bool checkpoint);
  /// The worker is gone; another, or its replacement, must do the tasks that are not safe.
  void lose(WorkerId worker);

  // ---- the end
  /// The ensemble continues without the member: from this segment on, and for this reason.
  void leave(std::string reason, SegmentId from);
  /// The same, because of another stage of the member: its workers live on, and may have tasks. None is pending.
  void leave_with_others(std::string reason, SegmentId from);
  /// The member is missing from an earlier segment too.
  void missing_from(SegmentId segment);
  bool absent() const noexcept { return absent_from_.has_value(); }
  const std::string& absent_reason() const noexcept { return absent_reason_; }
  const std::optional<SegmentId>& absent_from() const noexcept { return absent_from_; }

  /// Fails if facts that belong together do not agree. Between two events they do.
  void check_invariants() const;

  MemberTasks tasks;

 private:
  void step(Event event);

  Part part_ = Part::none;
  SegmentId command_before_;
  bool training_ = false;
  std::string absent_reason_;
  std::optional<SegmentId> absent_from_;
};

}  // namespace tutti
