#include "coordinator/decide/restart_budget.hpp"

#include <algorithm>

#include "common/check.hpp"

namespace tutti {
namespace {

constexpr RestartBudget::Seconds kLongestDelay{5};

}  // namespace

bool RestartBudget::spend(Time now) {
  if (!limit_) return true;
  TUTTI_CHECK(deaths_.empty() || deaths_.back() <= now, "deaths are in the order of their times");
  while (!deaths_.empty() && now - deaths_.front() >= window_) deaths_.pop_front();
  if (deaths_.size() >= *limit_) return false;
  deaths_.push_back(now);
  return true;
}

RestartBudget::Seconds RestartBudget::delay() {
  if (in_a_row_++ == 0) return Seconds(0);
  Seconds delay = back_off_;
  for (std::uint32_t n = 2; n < in_a_row_ && delay > Seconds(0) && delay < kLongestDelay; ++n) delay *= 2;
  return std::min(delay, kLongestDelay);
}

}  // namespace tutti
