// Waiting as Python does it: without the GIL, and so that Ctrl-C ends it; and threads that end before the interpreter.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <optional>

#include <nanobind/nanobind.h>

namespace tutti::python {

/// While one is there, a thread of Python is in this module, perhaps without the GIL. The interpreter must not end
/// then: a thread that asks an ended one for the GIL is cut off in the middle of C++ code. Made and destroyed with the
/// GIL.
class Inside {
 public:
  Inside();
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

template <class Future>
bool is_ready(const Future& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

/// Waits until the future is ready, at most `timeout` seconds. Python runs the handlers of signals on the main thread,
/// whichever thread the kernel interrupts, so only looking from time to time tells. Throws nb::python_error if one
/// raises.
template <class Future>
void wait(const Future& future, std::optional<double> timeout = std::nullopt) {
  if (is_ready(future)) return;
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kLook{50};
  constexpr double kNever = 1e9;  // seconds: more than any clock reaches
  const Clock::time_point end =
      timeout && *timeout < kNever
          ? Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*timeout))
          : Clock::time_point::max();
  const Inside inside;
  for (;;) {
    {
      const nanobind::gil_scoped_release released;
      if (future.wait_until(std::min(end, Clock::now() + kLook)) == std::future_status::ready) return;
    }
    if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
    if (Clock::now() >= end) return;
  }
}

/// Runs `work` on a thread of its own, without the GIL and with all signals blocked. Throws std::system_error if there
/// can be no more threads.
void run_apart(std::function<void()> work);

/// True on the thread that tells Python about predictions, which should not wait for the end of an ensemble.
bool is_telling();

/// Marks this thread as one for which is_telling().
class Telling {
 public:
  Telling();
  ~Telling();
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;
};

/// At the end of the interpreter, with the GIL: is_ending() from now on.
void begin_end();
/// Whether the interpreter ends, so that no thread may enter this module any more.
bool is_ending();
/// For the end of the interpreter, after all ensembles are closed: waits for every thread that is Inside, and for those
/// that run_apart() started. With the GIL, which it lets go of.
void wait_for_threads();
/// In a forked process, which has none of them.
void forget_threads();

}  // namespace tutti::python
