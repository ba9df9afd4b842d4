#include "coordinator/program/interruption.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/log.hpp"
#include "common/thread.hpp"

namespace tutti::program {
namespace {

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t awaited_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  // The terminal was closed. nohup ignores this one, but a signal that is blocked arrives even where it is ignored.
  if (!is_ignored(SIGHUP)) ::sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

const char* signal_name(int signal) {
  switch (signal) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "a signal";
  }
}

Interruption::Interruption() {
  const sigset_t signals = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = start_thread("tutti-signals", [this] { run(); });
}

Interruption::~Interruption() {
  closing_ = true;
  ::pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void Interruption::run() {
  const sigset_t signals = awaited_signals();
  for (;;) {
    int number = 0;
    if (::sigwait(&signals, &number) != 0) continue;
    if (closing_) return;
    const std::lock_guard lock(mutex_);
    if (ensemble_ == nullptr || signal_ != 0) ::_exit(128 + number);  // no word: stderr may be what it waits for
    signal_ = number;
    ensemble_->drain();
    // The log does not wait for stderr.
    log::info("{}: finishing what is in flight; a second signal ends at once", signal_name(number));
  }
}

Interruption::Watch::Watch(Interruption& interruption, Ensemble& ensemble) : interruption_(interruption) {
  const std::lock_guard lock(interruption_.mutex_);
  interruption_.ensemble_ = &ensemble;
}

Interruption::Watch::~Watch() {
  const std::lock_guard lock(interruption_.mutex_);
  interruption_.ensemble_ = nullptr;
}

}  // namespace tutti::program
