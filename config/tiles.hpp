// Reads `tiles:`, how large inputs are cut.
#pragma once

#include <cstddef>
#include <optional>

#include "config/reader.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// The key `tiles` of an input that has this many spatial axes, if that is known; nothing if there is none. Mistakes
/// become violations.
std::optional<Tiles> read_tiles(Fields& input, std::optional<std::size_t> axes, Violations& violations);

}  // namespace tutti::config
