// Checkpoints of a training member: all that a later generation needs to go on as if nothing had happened, in a file
// that the coordinator opened without a name and that both inherit. Not the weights that a training is to give: those
// have a name and are written atomically (Trainable::save).
//
// Two files alternate, and a checkpoint is valid once the coordinator has accepted the completion that follows it. So
// only the file that is not valid is ever written to, and a torn one is never read. Nothing is synced: the content must
// survive this process, not a crash of the machine.
#pragma once

#include <cstdint>

#include "worker/model.hpp"

namespace tutti::worker {

/// Replaces the content of `fd` by the state of `model`, which has trained up to `segment`. Throws Error(failed) that
/// names member, folder and bytes where the file cannot be written, and whatever the model throws.
void write_checkpoint(int fd, const MemberRequest& member, Trainable& model, std::uint64_t segment);

/// Brings `model` to the state in `fd` and returns the segment up to which it had trained. Throws Error(failed) where
/// the file holds none of this member, whole and of the right shape; the model is then as it was.
std::uint64_t read_checkpoint(int fd, const MemberRequest& member, Trainable& model);

}  // namespace tutti::worker
