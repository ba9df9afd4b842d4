// The time since an instant, for reports and rows. No calendar.
#pragma once

#include <chrono>

namespace tutti {

inline double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace tutti
