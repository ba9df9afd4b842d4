// The largest value of a row.
#pragma once

#include <cstddef>
#include <span>

namespace tutti {

/// argmax() of at least kLongRow values.
std::size_t argmax_of_long(std::span<const float> row);
constexpr std::size_t kLongRow = 64;

/// The index of the largest value; of equal ones the lowest. A NaN is larger than nothing, and nothing is larger than a
/// NaN in the first place. 0 of an empty row.
inline std::size_t argmax(std::span<const float> row) {
  if (row.size() >= kLongRow) return argmax_of_long(row);
  if (row.empty()) return 0;
  // Without a branch per value, unlike std::max_element compiled by clang.
  std::size_t place = 0;
  float top = row[0];
  for (std::size_t i = 1; i < row.size(); ++i) {
    const bool larger = top < row[i];
    place = larger ? i : place;
    top = larger ? row[i] : top;
  }
  return place;
}

}  // namespace tutti
