// How often, and how soon, a member's worker may be replaced. Pure: the caller passes the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace tutti {

class RestartBudget {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  /// At most `limit` deaths in any `window`; without a limit any number.
  RestartBudget(std::optional<std::uint32_t> limit, Seconds window, Seconds back_off)
      : limit_(limit), window_(window), back_off_(back_off) {}

  /// Counts a death. False if the budget does not allow it.
  bool spend(Time now);
  /// How long to wait before the next replacement: not at all for the first in a row, then the back-off, doubled each
  /// time, up to 5 s.
  Seconds delay();
  /// The worker has answered a task: the next replacement is again the first in a row.
  void worked() { in_a_row_ = 0; }

 private:
  std::optional<std::uint32_t> limit_;
  Seconds window_;
  Seconds back_off_;
  std::deque<Time> deaths_;  // within the window
  std::uint32_t in_a_row_ = 0;
};

}  // namespace tutti
