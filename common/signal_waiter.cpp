#include "common/signal_waiter.hpp"

#include <pthread.h>
#include <signal.h>

#include <utility>

#include "common/thread.hpp"

namespace tutti {
namespace {

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t awaited_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, number);
  return set;
}

}  // namespace

SignalWaiter::SignalWaiter(std::function<void(int)> on_signal) : on_signal_(std::move(on_signal)) {
  const sigset_t signals = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = start_thread("tutti-signals", [this] { run(); });
}

SignalWaiter::~SignalWaiter() {
  closing_ = true;
  ::pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void SignalWaiter::run() {
  const sigset_t signals = awaited_signals();
  for (;;) {
    int number = 0;
    if (::sigwait(&signals, &number) != 0) continue;
    if (closing_) return;
    // sigwait() receives a blocked signal even if it is ignored.
    if (!is_ignored(number)) on_signal_(number);
  }
}

}  // namespace tutti
