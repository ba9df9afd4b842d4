#include "program/interruption.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include <tutti/error.hpp>

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
  const MutexLock lock(mutex_);
  if (!stop_ || signal_ != 0) leave(number, kept_);
  signal_ = number;
  stop_(number);
}

void Interruption::keep(std::string detail) {
  const MutexLock lock(mutex_);
  kept_ = std::move(detail);
}

void Interruption::check() const {
  if (signal_ != 0) throw Error(ErrorKind::interrupted, "interrupted");
}

void Interruption::leave(int signal, std::string_view detail) {
  // A stopped terminal, or a pipe that is not read, must not block the exit of the program, and neither must a thread
  // that is blocked there and holds the lock of the stream.
  pollfd place{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&place, 1, 0) == 1) {
    const std::string text =
        fmt::format("tutti: {}\n", Error(ErrorKind::interrupted, "interrupted", std::string(detail)).what());
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) ::_exit(128 + signal);
  }
  ::_exit(128 + signal);
}

Interruption::Watch::Watch(Interruption& interruption, Ensemble& ensemble)
    : Watch(interruption, [&ensemble](int number) {
        ensemble.drain();
        // Logging does not wait for stderr.
        log::info("{}: finishing the work in flight; a second signal ends the program at once", signal_name(number));
      }) {}

Interruption::Watch::Watch(Interruption& interruption, std::function<void(int)> stop) : interruption_(interruption) {
  const MutexLock lock(interruption_.mutex_);
  before_ = std::exchange(interruption_.stop_, std::move(stop));
}

Interruption::Watch::~Watch() {
  const MutexLock lock(interruption_.mutex_);
  interruption_.stop_ = std::move(before_);
}

}  // namespace tutti::program
