#include "common/difference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/check.hpp"

namespace tutti {

double difference_of(std::span<const float> first, std::span<const float> other) {
  TUTTI_CHECK(first.size() == other.size());
  double largest = 0;
  double apart = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const bool numbers = std::isfinite(first[i]) && std::isfinite(other[i]);
    const bool same = first[i] == other[i] || (std::isnan(first[i]) && std::isnan(other[i]));
    if (!numbers && !same) return std::numeric_limits<double>::infinity();
    if (!numbers) continue;
    largest = std::max(largest, std::abs(static_cast<double>(first[i])));
    apart = std::max(apart, std::abs(static_cast<double>(first[i]) - static_cast<double>(other[i])));
  }
  if (apart == 0) return 0;
  return largest > 0 ? apart / largest : std::numeric_limits<double>::infinity();
}

}  // namespace tutti
