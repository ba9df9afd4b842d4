// Copies a checkpoint with some of its tensors replaced, such as statistics that an average cannot give. Streams, as
// merging does.
#pragma once

#include <map>
#include <string>

#include "merge/checkpoint.hpp"

namespace tutti::merge {

/// Gives the bytes of a file with the tensors of `checkpoint`, in the order of its names, to `sink`; tensors in
/// `replacements` replace those of the checkpoint, floating ones converted to its type. Throws Error(failed), before
/// the first byte, if the checkpoint has no such tensor, or one of another shape or kind of number; and if it cannot be
/// read. Throws what `sink` throws.
void write_replaced(const Checkpoint& checkpoint, const Safetensors& replacements, const ByteSink& sink,
                    const std::map<std::string, std::string>& metadata);

}  // namespace tutti::merge
