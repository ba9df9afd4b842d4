#include "coordinator/program/interruption.hpp"

#include <signal.h>
#include <unistd.h>

#include "common/log.hpp"

namespace tutti::program {
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

void Interruption::take(int number) {
  const std::lock_guard lock(mutex_);
  if (ensemble_ == nullptr || signal_ != 0) ::_exit(128 + number);  // no word: stderr may be what it waits for
  signal_ = number;
  ensemble_->drain();
  // The log does not wait for stderr.
  log::info("{}: finishing what is in flight; a second signal ends at once", signal_name(number));
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
