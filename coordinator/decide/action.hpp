// What the supervisor tells the pool to do. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include <tutti/error.hpp>

#include "common/ids.hpp"
#include "common/wire/records.hpp"

namespace tutti {

/// What the pool must do.
namespace action {
/// Start a process for the member, or take its spare.
struct Spawn {
  WorkerId worker;
  Generation generation;
};
/// It is ready: give it its channel, and send `start`.
struct Begin {
  WorkerId worker;
};
/// Bring a training member to its state: `restore` from this checkpoint file where there is one, then `begin_training`
/// where no checkpoint was written since. One done() follows: the last, or the first with a problem.
struct Prepare {
  Rank rank;
  std::optional<std::uint32_t> checkpoint;
  bool begin = true;
};
/// Send the member its part of the command that is under way. done() follows.
struct Tell {
  Rank rank;
};
struct HandOut {
  Rank rank;
  TaskRecord task;
};
/// SIGKILL. gone() follows.
struct Kill {
  WorkerId worker;
};
/// It did not end even after SIGKILL: never read its channel again; watch for its end: exited_late() then.
struct Abandon {
  WorkerId worker;
  Generation generation;
  std::optional<std::uint32_t> checkpoint;  ///< the file that counts; it may still be writing to the other
};
/// One more reason to keep a slot; one less. A slot is free when its driver and all holds have let go.
struct Hold {
  SlotId slot;
};
struct Release {
  SlotId slot;
};
/// Every member asked has answered or was given up: close() the segment and deliver it.
struct Finish {
  SegmentId segment;
};
/// Every member that is left has carried out the command; `problem` is the first that could not (and lives on).
struct CommandDone {
  std::optional<Error> problem;
};
/// The pool ends with this error, which is about this image of a segment.
struct Fail {
  struct Image {
    SegmentId segment;
    std::uint64_t number;  ///< in the segment; a worker said it
  };
  Error error;
  std::optional<Image> image{};
};
/// One line for the user.
struct Say {
  std::string line;
};
}  // namespace action
using Action = std::variant<action::Spawn, action::Begin, action::Prepare, action::Tell, action::HandOut, action::Kill,
                            action::Abandon, action::Hold, action::Release, action::Finish, action::CommandDone,
                            action::Fail, action::Say>;

}  // namespace tutti
