// How the program reacts to Ctrl-C, SIGTERM and SIGHUP.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

#include <tutti/ensemble.hpp>

#include "common/mutex.hpp"
#include "common/signal_waiter.hpp"

namespace tutti::program {

/// "SIGINT", "SIGTERM", "SIGHUP".
const char* signal_name(int signal);

/// Create it first in main(), before any other thread, so that all threads inherit the blocked signals. The first
/// signal drains the watched ensemble: the work in flight is finished, then the command ends. If other work is watched,
/// the signal stops that. A second signal, or one while nothing is watched, ends the program at once, with a message
/// that says what is kept; the kernel then ends the workers and frees the memory.
class Interruption {
 public:
  Interruption() = default;
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// While it exists, a signal drains `ensemble`, or calls `stop` with the signal's number on the thread that waits for
  /// signals. A nested watch replaces the outer one while it exists.
  class Watch {
   public:
    Watch(Interruption& interruption, Ensemble& ensemble);
    Watch(Interruption& interruption, std::function<void(int)> stop);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Interruption& interruption_;
    std::function<void(int)> before_;
  };

  /// The signal that arrived, or 0.
  int signal() const noexcept { return signal_; }
  /// What to say if a signal ends the program at once from now on: what is kept, and how to continue. May be empty.
  void keep(std::string detail);
  /// Throws Error(interrupted) if a signal arrived.
  void check() const;
  /// Ends the program as main() does after an Error(interrupted) with this detail: for a `stop` after which no thread
  /// would end it.
  [[noreturn]] static void leave(int signal, std::string_view detail);

 private:
  void take(int number);

  Mutex mutex_;
  std::function<void(int)> stop_ TUTTI_GUARDED_BY(mutex_);
  std::string kept_ TUTTI_GUARDED_BY(mutex_);
  std::atomic<int> signal_ = 0;
  SignalWaiter waiter_{[this](int number) { take(number); }};  // last: it uses the others
};

}  // namespace tutti::program
