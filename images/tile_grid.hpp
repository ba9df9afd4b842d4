// Where the tiles of an input are. Pure arithmetic: no pixels, no files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <tutti/tensor.hpp>

#include "common/tiles.hpp"

namespace tutti::images {

/// A part of an input along its spatial axes.
struct Region {
  Dims begin;
  Dims size;
  friend bool operator==(const Region&, const Region&) = default;
};

/// The tiles of one input, as MONAI's sliding_window_inference() cuts them: along each axis they begin at 0, s, 2 s,
/// ... with s = max(1, int(size * (1 - overlap))), except that the last one ends where the input does. An input that is
/// smaller than a tile has one, which reaches beyond its end. Tiles are numbered row-major. A value.
class TileGrid {
 public:
  /// `tiles.size` has one number, or one for each size of `input`, of which there is at least one.
  TileGrid(const Tiles& tiles, Dims input);

  const Dims& input() const noexcept { return input_; }
  const Dims& tile() const noexcept { return tile_; }
  std::uint64_t count() const noexcept;
  std::uint64_t count_along(std::size_t axis) const noexcept { return counts_[axis]; }
  /// Where tile `number` of an axis begins.
  std::uint32_t begin(std::size_t axis, std::uint64_t number) const noexcept;
  /// What tile `number`, below count(), holds of the input. The rest of it, at the end of each axis, is padding.
  Region region(std::uint64_t number) const;

 private:
  Dims input_;
  Dims tile_;
  Dims strides_;
  std::vector<std::uint64_t> counts_;  ///< tiles along each axis
};

/// Calls `use(whole, part, length)` for each run of `length` neighbouring places of a region: they begin at place
/// `whole` of an array of the sizes `sizes`, and the region at the beginning of one of the sizes `tile` has them from
/// place `part` on.
template <class Use>
void each_run(const Region& region, const Dims& sizes, const Dims& tile, Use&& use) {
  const std::size_t last = region.size.size() - 1;
  std::uint64_t runs = 1;
  for (std::size_t axis = 0; axis < last; ++axis) runs *= region.size[axis];
  for (std::uint64_t run = 0; run < runs; ++run) {
    std::uint64_t whole = region.begin[last];
    std::uint64_t part = 0;
    std::uint64_t whole_pitch = sizes[last];
    std::uint64_t part_pitch = tile[last];
    std::uint64_t rest = run;
    for (std::size_t axis = last; axis-- > 0;) {
      const std::uint64_t place = rest % region.size[axis];
      rest /= region.size[axis];
      whole += (region.begin[axis] + place) * whole_pitch;
      part += place * part_pitch;
      whole_pitch *= sizes[axis];
      part_pitch *= tile[axis];
    }
    use(whole, part, region.size[last]);
  }
}

}  // namespace tutti::images
