#include "coordinator/decide/argmax.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tutti {
namespace {

// An extension that g++ and clang have for every CPU: g++ does not vectorise loops over so few values.
using Four = float __attribute__((vector_size(4 * sizeof(float))));

Four four_at(const float* values) {
  Four four;
  std::memcpy(&four, values, sizeof four);
  return four;
}

/// In each place the larger; the first if one of them is NaN.
Four larger_of(Four a, Four b) { return a < b ? b : a; }

bool any_equal(const float* values, Four to) {
  const auto equal = (four_at(values) == to) | (four_at(values + 4) == to);
  return (equal[0] | equal[1] | equal[2] | equal[3]) != 0;
}

}  // namespace

// First the value, for which the order does not matter, then its place: neither needs a branch per value.
std::size_t argmax_of_long(std::span<const float> row) {
  const float* const x = row.data();
  const std::size_t size = row.size();
  if (std::isnan(x[0])) return 0;
  Four tops{x[0], x[0], x[0], x[0]};
  Four other_tops = tops;
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    tops = larger_of(tops, four_at(x + i));
    other_tops = larger_of(other_tops, four_at(x + i + 4));
  }
  // The rest, and again some before it.
  tops = larger_of(tops, four_at(x + size - 8));
  tops = larger_of(tops, larger_of(other_tops, four_at(x + size - 4)));
  const float top = std::max(std::max(tops[0], tops[1]), std::max(tops[2], tops[3]));
  const Four wanted{top, top, top, top};
  std::size_t place = 0;
  while (place + 8 <= size && !any_equal(x + place, wanted)) place += 8;
  while (x[place] != top) ++place;
  return place;
}

}  // namespace tutti
