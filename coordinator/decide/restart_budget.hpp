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
  /// Whether another death is allowed, and if not, why.
  enum class Verdict : std::uint8_t {
    allowed,
    too_often,    ///< `limit` deaths within the window came before it
    never_ready,  ///< the last `limit` replacements never became ready
  };

  /// At most `limit` deaths in any `window`, and at most `limit` replacements in a row that never become ready, however
  /// long each takes to fail; without a limit any number.
  RestartBudget(std::optional<std::uint32_t> limit, Seconds window, Seconds back_off)
      : limit_(limit), window_(window), back_off_(back_off) {}

  /// Counts a death if it is allowed.
  Verdict spend(Time now);
  /// The worker is ready, and has the state of its member: the deaths before may be forgotten when they are old.
  void became_ready() { in_vain_ = 0; }
  /// How long to wait before the next replacement: not at all for the first in a row, then the back-off, doubled each
  /// time, up to 5 s.
  Seconds delay();
  /// The worker has answered a task: the next replacement is again the first in a row.
  void worked() { in_a_row_ = 0; }

 private:
  std::optional<std::uint32_t> limit_;
  Seconds window_;
  Seconds back_off_;
  std::deque<Time> deaths_;  // within the window, or after the last worker that became ready
  std::size_t in_vain_ = 0;  // how many of them came after that worker
  std::uint32_t in_a_row_ = 0;
};

}  // namespace tutti
