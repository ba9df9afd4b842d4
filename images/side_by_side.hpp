// Work on many files at once, on threads that end with the call.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

#include "common/mutex.hpp"
#include "common/thread.hpp"

namespace tutti::images {

/// What the first piece of work threw: first by its number, not in time. Thread-safe.
class FirstError {
 public:
  /// On the thread that caught it.
  void add(std::size_t i) {
    const MutexLock lock(mutex_);
    if (error_ && i >= first_) return;
    first_ = i;
    error_ = std::current_exception();
  }
  void rethrow() {
    const MutexLock lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  Mutex mutex_;
  std::size_t first_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::exception_ptr error_ TUTTI_GUARDED_BY(mutex_);
};

/// Calls `work(hand, i)` for 0 <= i < count, on as many threads as there are hands: what a thread works with, at least
/// one. Throws the exception of the smallest i that failed (not of the first in time).
template <class Hand, class Work>
void side_by_side(std::vector<Hand>& hands, std::size_t count, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  FirstError error;
  const auto take = [&](Hand& hand) {
    while (!failed) {
      const std::size_t i = next++;
      if (i >= count) return;
      try {
        work(hand, i);
      } catch (...) {
        failed = true;
        error.add(i);
      }
    }
  };
  std::vector<std::thread> others;
  try {
    for (std::size_t hand = 1; hand < std::min(hands.size(), count); ++hand)
      others.push_back(start_thread("tutti-decode", [&take, &mine = hands[hand]] { take(mine); }));
    take(hands.front());
  } catch (...) {  // no more threads can be started
    failed = true;
    error.add(count);
  }
  for (std::thread& other : others) other.join();
  error.rethrow();
}

}  // namespace tutti::images
