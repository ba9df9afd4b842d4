// What the supervisor tells the pool to do. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <tutti/error.hpp>

#include "common/ids.hpp"
#include "common/wire/records.hpp"

namespace tutti {

/// What the pool must do.
namespace action {
/// A member that had shared a worker has one of its own from now on: `to`, which is new. Neither has a process.
struct Move {
  WorkerId from;
  Rank rank;
  WorkerId to;
};
/// The worker's process has nothing to do and is not needed any more: the worker hosts the new version of its unit from
/// now on. If it has no process, only that. Spawn follows, at once or when its back-off has passed.
struct Retire {
  WorkerId worker;
};
/// Nobody asks the worker any more: let go of its process, if it has one, and of its spare. Nothing follows for this
/// worker until another member takes its place.
struct Vacate {
  WorkerId worker;
};
/// All workers that were to be superseded were told to Retire; or none was, because of this `problem`.
struct Superseded {
  std::string problem{};
};
/// Start a process for the worker, or take its spare.
struct Spawn {
  WorkerId worker;
  Generation generation;
};
/// It is ready: give it its channel, and send `start`.
struct Begin {
  WorkerId worker;
};
/// Bring a training member to its state: `restore` from this checkpoint file if there is one, then `begin_training` if
/// no checkpoint has been written since. One done() follows: the last, or the first with a problem.
struct Prepare {
  Rank rank;
  std::optional<std::uint32_t> checkpoint;
  bool begin = true;
};
/// Send the member its part of the current command. done() follows.
struct Tell {
  Rank rank;
};
struct HandOut {
  WorkerId worker;
  Rank rank;
  TaskRecord task;
  bool second = false;  ///< a sister has the task, too
};
/// SIGKILL. gone() follows.
struct Kill {
  WorkerId worker;
};
/// It did not end even after SIGKILL: never read its channel again; watch for its end; exited_late() follows then.
struct Abandon {
  WorkerId worker;
  Generation generation;
  /// Of each of its members the valid file, if there is one; the process may still be writing to the others.
  std::vector<std::pair<Rank, std::optional<std::uint32_t>>> checkpoints;
};
/// Adds a hold on a slot; Release removes one. A slot is free when its driver has finished with it and no hold is left.
struct Hold {
  SlotId slot;
};
struct Release {
  SlotId slot;
};
/// Every member that was asked for the segment so far has answered or was given up, and others may be asked for some of
/// its samples: find out which, and go_on().
struct Judge {
  SegmentId segment;
};
/// Every member that was given the segment has answered or was given up: close() the segment and deliver it.
struct Finish {
  SegmentId segment;
};
/// Every member that is left has carried out the command; `problem` is from the first that could not; its worker lives
/// on.
struct CommandDone {
  std::optional<Error> problem;
};
/// The call that this segment belongs to ends with this error, and the pool lives on; `image`, if set, is the image of
/// the segment that it is about, as the worker reported it. Finish follows for the segment, as for any other.
struct FailCall {
  SegmentId segment;
  Error error;
  std::optional<std::uint64_t> image{};
};
/// The pool ends with this error.
struct Fail {
  Error error;
};
/// One line for the user.
struct Say {
  std::string line;
};
}  // namespace action
using Action = std::variant<action::Move, action::Retire, action::Vacate, action::Superseded, action::Spawn,
                            action::Begin, action::Prepare, action::Tell, action::HandOut, action::Kill,
                            action::Abandon, action::Hold, action::Release, action::Judge, action::Finish,
                            action::CommandDone, action::FailCall, action::Fail, action::Say>;

}  // namespace tutti
