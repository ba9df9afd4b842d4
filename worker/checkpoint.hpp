// Checkpoints of a training member: all that a later generation needs to go on as if nothing had happened, in a file
// that the coordinator opened without a name and that both inherit. Not the weights that a training is to give: those
// have a name and are written atomically (Model::save).
//
// Two files take turns, and a checkpoint counts once the coordinator has accepted the completion that follows it. So
// only the file that does not count is ever written to, a torn one is never read, and nothing is synced: the content
// must outlive this process, not the machine.
#pragma once

#include <cstdint>

#include "worker/model.hpp"

namespace tutti::worker {

/// Replaces the content of `fd` by the state of `model`, which has trained up to `segment`. Throws Error(failed) that
/// names member, folder and bytes if the file cannot be written, and whatever the model throws.
void write_checkpoint(int fd, const MemberRequest& member, Model& model, std::uint64_t segment);

/// Brings `model` to the state in `fd` and returns the segment up to which it had trained. Throws Error(failed) if
/// the file holds none of this member, whole and of the right shape; the model is then as it was.
std::uint64_t read_checkpoint(int fd, const MemberRequest& member, Model& model);

}  // namespace tutti::worker
