// A point in time so many seconds later, where the seconds come from a configuration.
#pragma once

#include <algorithm>
#include <chrono>

namespace tutti {

/// Thirty years are as good as never; more would not fit into a time point.
constexpr std::chrono::duration<double> kNever{1e9};

inline std::chrono::steady_clock::time_point later(std::chrono::steady_clock::time_point now,
                                                   std::chrono::duration<double> wait) {
  return now + std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::min(wait, kNever));
}

}  // namespace tutti
