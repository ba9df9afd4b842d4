#include "images/tile_grid.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace tutti::images {

TileGrid::TileGrid(const Tiles& tiles, Dims input) : input_(std::move(input)), tile_(tiles.size) {
  assert(tile_.size() == 1 || tile_.size() == input_.size());
  tile_.resize(input_.size(), tile_.front());
  for (std::size_t axis = 0; axis < input_.size(); ++axis) {
    // In the order in which Python computes it, so that it is rounded alike.
    const double wanted = static_cast<double>(tile_[axis]) * (1.0 - tiles.overlap);
    const std::uint32_t stride = std::max(1U, static_cast<std::uint32_t>(wanted));
    const std::uint32_t rest = input_[axis] - std::min(input_[axis], tile_[axis]);
    strides_.push_back(stride);
    counts_.push_back((std::uint64_t{rest} + stride - 1) / stride + 1);
  }
}

std::uint64_t TileGrid::count() const noexcept {
  std::uint64_t all = 1;
  for (const std::uint64_t along : counts_) all *= along;
  return all;
}

std::uint32_t TileGrid::begin(std::size_t axis, std::uint64_t number) const noexcept {
  const std::uint64_t last = input_[axis] - std::min(input_[axis], tile_[axis]);
  return static_cast<std::uint32_t>(std::min(number * strides_[axis], last));
}

Region TileGrid::region(std::uint64_t number) const {
  Region region{Dims(input_.size()), Dims(input_.size())};
  for (std::size_t axis = input_.size(); axis-- > 0;) {
    region.begin[axis] = begin(axis, number % counts_[axis]);
    region.size[axis] = std::min(tile_[axis], input_[axis]);
    number /= counts_[axis];
  }
  return region;
}

}  // namespace tutti::images
