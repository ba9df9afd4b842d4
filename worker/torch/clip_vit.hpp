// The member `clip-vit`: CLIP's vision tower, with a head if it outputs logits. It only predicts.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Images are normalised and have the tower's size; a part of the tower takes what the one before it outputs. Throws
/// Error(usage) if the folder holds no such tower, its weights do not fit, the images have another size, or the head
/// takes other features.
std::unique_ptr<Model> make_clip_vit(const MemberRequest& request);

}  // namespace tutti::worker
