// A checkpoint with some of its tensors replaced: what an average cannot give and something else computed. Streams, as
// merging does.
#pragma once

#include <map>
#include <string>

#include "merge/checkpoint.hpp"

namespace tutti::merge {

/// Gives the bytes of a file with the tensors of `checkpoint`, in the order of its names, to `sink`; those that
/// `replacements` has too are taken from there, floating ones in the type that the checkpoint has. Throws
/// Error(failed), before the first byte, if the checkpoint has no such tensor, or one of another shape or kind of
/// number; and if it cannot be read. Throws what `sink` throws.
void write_replaced(const Checkpoint& checkpoint, const Safetensors& replacements, const ByteSink& sink,
                    const std::map<std::string, std::string>& metadata);

}  // namespace tutti::merge
