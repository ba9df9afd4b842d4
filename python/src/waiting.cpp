#include "python/src/waiting.hpp"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <utility>

namespace nb = nanobind;

namespace tutti::python {
namespace {

/// Threads that are Inside or that run_apart() started.
std::atomic<int>& threads() {
  static std::atomic<int> count = 0;
  return count;
}

thread_local bool telling = false;

std::atomic<bool> ending = false;

void leave() {
  --threads();
  threads().notify_all();
}

}  // namespace

Inside::Inside() { ++threads(); }
Inside::~Inside() { leave(); }

Telling::Telling() { telling = true; }
Telling::~Telling() { telling = false; }
bool is_telling() { return telling; }

void run_apart(std::function<void()> work) {
  ++threads();
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // a new thread inherits the mask
  try {
    std::thread([work = std::move(work)]() mutable {
      work();
      work = {};  // what it holds is gone before this thread counts as ended
      leave();
    }).detach();
  } catch (...) {  // there are too many threads
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    leave();
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void begin_end() { ending = true; }
bool is_ending() { return ending; }

void wait_for_threads() {
  const nb::gil_scoped_release released;
  for (int now = threads(); now != 0; now = threads()) threads().wait(now);
}

void forget_threads() {
  threads() = 0;
  telling = false;
}

}  // namespace tutti::python
