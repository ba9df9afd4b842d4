// A point in time that is a number of seconds later. The number may come from a configuration.
#pragma once

#include <algorithm>
#include <chrono>

#include "common/check.hpp"

namespace tutti {

/// About thirty years. Much more would overflow a time point.
constexpr std::chrono::duration<double> kNever{1e9};

inline std::chrono::steady_clock::time_point later(std::chrono::steady_clock::time_point now,
                                                   std::chrono::duration<double> wait) {
  TUTTI_CHECK(wait >= std::chrono::duration<double>::zero(), "a deadline is never in the past, and never NaN");
  return now + std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::min(wait, kNever));
}

}  // namespace tutti
