#include "coordinator/program/interruption.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

namespace tutti::program {
namespace {

sigset_t awaited_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

Interruption::Interruption() {
  const sigset_t signals = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this] { run(); });
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
    if (ensemble_ == nullptr || signal_ != 0) {
      fmt::print(stderr, "\ntutti: interrupted\n");
      ::_exit(128 + number);
    }
    signal_ = number;
    ensemble_->interrupt();
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
