// How inputs that are larger than a model takes are cut into tiles, and how the tiles' predictions become those of the
// inputs. Plain values: images/tile_grid.hpp cuts, results/blending.hpp blends.
#pragma once

#include <array>
#include <cstddef>

#include <tutti/inputs.hpp>

#include "common/values.hpp"

namespace tutti {

constexpr auto enum_names(Blend) {
  return std::array{EnumName{Blend::gaussian, "gaussian"}, EnumName{Blend::mean, "mean"}};
}

/// The most axes of an input that tiles are cut along; those of the samples and of the channels come before them.
inline constexpr std::size_t kMaxTiledAxes = 3;

}  // namespace tutti
