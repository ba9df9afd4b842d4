// What Ctrl-C, SIGTERM and SIGHUP do to the program.
#pragma once

#include <atomic>
#include <mutex>

#include <tutti/ensemble.hpp>

#include "common/signal_waiter.hpp"

namespace tutti::program {

/// "SIGINT", "SIGTERM", "SIGHUP".
const char* signal_name(int signal);

/// Create it first in main(), before any other thread: they inherit the blocked signals. The first signal drains the
/// watched ensemble: what is in flight is still answered, then what runs ends. A second one, or one while none is
/// watched, ends the program at once: the kernel then ends the workers and frees the memory.
class Interruption {
 public:
  Interruption() = default;
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// While it lives, a signal drains `ensemble`.
  class Watch {
   public:
    Watch(Interruption& interruption, Ensemble& ensemble);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Interruption& interruption_;
  };

  /// The signal that came, or 0.
  int signal() const noexcept { return signal_; }

 private:
  void take(int number);

  std::mutex mutex_;
  Ensemble* ensemble_ = nullptr;
  std::atomic<int> signal_ = 0;
  SignalWaiter waiter_{[this](int number) { take(number); }};  // last: it uses the others
};

}  // namespace tutti::program
