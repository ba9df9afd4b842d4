// Checkpoints of a training member: the state that a later generation needs to continue as if nothing had happened, in
// a file without a name that the coordinator opened and both generations inherit. Not the weights that training
// produces: those have a name and are written atomically (Model::save).
//
// Two files alternate, and a checkpoint is valid once the coordinator has accepted the completion that follows it. So
// only the file that is not valid is ever written to, and a torn one is never read. Nothing is synced: the content must
// survive this process, not a crash of the machine.
#pragma once

#include <cstdint>

#include "worker/model.hpp"

namespace tutti::worker {

/// Replaces the content of `fd` by the state of `model`, which has trained up to `segment`. Throws Error(failed) that
/// names member, folder and bytes if the file cannot be written, and what the model throws.
void write_checkpoint(int fd, const MemberRequest& member, Model& model, std::uint64_t segment);

/// Restores `model` from `fd` and returns the segment up to which it had trained. Throws Error(failed) if the file does
/// not hold a complete checkpoint of this member with the right shapes; the model is then unchanged.
std::uint64_t read_checkpoint(int fd, const MemberRequest& member, Model& model);

}  // namespace tutti::worker
