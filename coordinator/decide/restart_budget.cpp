#include "coordinator/decide/restart_budget.hpp"

#include <algorithm>

#include "common/check.hpp"

namespace tutti {
namespace {

constexpr RestartBudget::Seconds kLongestDelay{5};

}  // namespace

RestartBudget::Verdict RestartBudget::spend(Time now) {
  if (!limit_) return Verdict::allowed;
  TUTTI_CHECK(deaths_.empty() || deaths_.back() <= now, "deaths are in the order of their times");
  const auto is_old = [&](Time death) { return now - death >= window_; };
  // A start that takes longer to fail than the window would otherwise be repeated without end.
  while (deaths_.size() > in_vain_ && is_old(deaths_.front())) deaths_.pop_front();
  if (deaths_.size() >= *limit_)
    return !deaths_.empty() && is_old(deaths_.front()) ? Verdict::never_ready : Verdict::too_often;
  deaths_.push_back(now);
  ++in_vain_;
  return Verdict::allowed;
}

RestartBudget::Seconds RestartBudget::delay() {
  if (in_a_row_++ == 0) return Seconds(0);
  Seconds delay = back_off_;
  for (std::uint32_t n = 2; n < in_a_row_ && delay > Seconds(0) && delay < kLongestDelay; ++n) delay *= 2;
  return std::min(delay, kLongestDelay);
}

}  // namespace tutti
