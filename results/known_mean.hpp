// The mean of figures of which some may not exist, such as the IoU of a class that occurs nowhere.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace tutti::images {

/// The mean of those that exist, in their order; nothing if none does.
inline std::optional<double> known_mean(const std::vector<std::optional<double>>& figures) {
  double sum = 0.0;
  std::size_t known = 0;
  for (const std::optional<double>& figure : figures) {
    if (!figure) continue;
    sum += *figure;
    ++known;
  }
  if (known == 0) return std::nullopt;
  return sum / static_cast<double>(known);
}

}  // namespace tutti::images
