// How inputs that are larger than a model takes are cut into tiles, and how the tiles' predictions become those of the
// inputs. Plain values: images/tile_grid.hpp cuts, results/blending.hpp blends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <tutti/tensor.hpp>

#include "common/values.hpp"

namespace tutti {

/// How much the places of a tile count where tiles overlap: those near its centre more, or alike.
enum class Blend : std::uint8_t { gaussian, mean };
constexpr auto enum_names(Blend) {
  return std::array{EnumName{Blend::gaussian, "gaussian"}, EnumName{Blend::mean, "mean"}};
}

/// The most axes of an input that tiles are cut along; those of the samples and of the channels come before them.
inline constexpr std::size_t kMaxTiledAxes = 3;

struct Tiles {
  Dims size;             ///< of a tile: one number for all axes, or one for each
  double overlap = 0.5;  ///< of neighbours, as a part of `size`: at least 0 and below 1
  Blend blend = Blend::gaussian;
  friend bool operator==(const Tiles&, const Tiles&) = default;
};

}  // namespace tutti
