// What a call of Ensemble::submit() may be told, and how it answers. Plain values.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <stop_token>

#include <tutti/predictions.hpp>

namespace tutti {

/// What submit() does if as many calls are waiting as Options::most_submissions allows.
enum class WhenFull {
  wait,    ///< it returns when there is room
  refuse,  ///< it throws QueueFull at once
};

/// Settings of one submission.
// With `coalesce`, calls share segments: these are still those of one call, and what is wrong with it ends no other.
struct SubmitOptions {
  /// The prediction is given up at this time, unless it is ready: Error(interrupted). What workers already compute of
  /// it they finish, and nobody reads it. Nothing: never. With `coalesce`, a call may wait for others for all of
  /// `max_delay_us`, even if its deadline comes before.
  std::optional<std::chrono::steady_clock::time_point> deadline{};
  /// Of the submissions, those of a higher priority get the free slots first; those of the same take turns, slot by
  /// slot. Calls of predict() and run() take theirs without regard to it.
  int priority = 0;
  /// The prediction is given up when a stop is requested: Error(interrupted).
  std::stop_token stop{};
  WhenFull when_full = WhenFull::wait;  ///< in a callback, always WhenFull::refuse
};

/// Is called once with a future that is ready: get() returns the predictions or throws what went wrong. It runs on the
/// thread that drives all submissions, so it should only pass the result on; it may submit (a full queue is
/// refused then), but must not wait for another prediction. What it throws is logged and dropped.
using SubmitDone = std::function<void(std::future<Predictions>)>;

/// As many submissions are waiting as are allowed.
class TUTTI_API QueueFull : public Error {
 public:
  using Error::Error;  ///< as those of Error
};

}  // namespace tutti
