// Where to cut a row of layers so that the parts weigh about the same. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tutti::config {

/// The layers, ascending, before which a row of layers is cut into `parts`: from 1 to weights.size(), each of one layer
/// or more. No other cut has a lighter heaviest part; of those that are as good, it has the smallest sum of squares,
/// and then the earliest cuts.
std::vector<std::uint32_t> balanced_cut(std::span<const std::uint64_t> weights, std::size_t parts);

}  // namespace tutti::config
