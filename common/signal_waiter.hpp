// Ctrl-C, SIGTERM and SIGHUP for the programs: a separate thread waits for them, so no code runs inside a signal
// handler. The program decides what to do about them.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace tutti {

/// Create it first in main(), before any other thread: they inherit the blocked signals.
class SignalWaiter {
 public:
  /// Calls `on_signal` with each signal's number, on the waiting thread. A signal that is ignored stays so: nohup
  /// ignores SIGHUP, and a shell ignores SIGINT for a command that a script starts in the background.
  explicit SignalWaiter(std::function<void(int)> on_signal);
  ~SignalWaiter();
  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;

 private:
  void run();

  const std::function<void(int)> on_signal_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace tutti
