// Which tensors of a CLIP checkpoint belong to which layer of its vision tower's encoder, for those who load or count
// only some of them. No weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "merge/checkpoint.hpp"

namespace tutti::merge {

/// The layer of a tower with so many layers that a tensor goes with, by the checkpoint's name: the embeddings and the
/// norm behind them go with the first, the last norm and the projection with the last. Nothing: it is not of the tower.
std::optional<std::size_t> tower_layer(std::string_view tensor, std::size_t layers);

/// The bytes of each layer as float32; with `projected`, the projection is one of the weights.
std::vector<std::uint64_t> tower_layer_bytes(const Checkpoint& checkpoint, std::size_t layers, bool projected);

}  // namespace tutti::merge
