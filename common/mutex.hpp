// The mutex of this tree: std::mutex with annotations, so that clang refuses to compile code that uses a guarded field
// without its lock (thread_annotations.hpp). libstdc++'s own classes carry no annotations.
//
//   Mutex mutex_;
//   Condition changed_;
//   int count_ TUTTI_GUARDED_BY(mutex_) = 0;
//
//   MutexLock lock(mutex_);
//   while (count_ == 0) changed_.wait(lock);
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "common/thread_annotations.hpp"

namespace tutti {

/// Taken through MutexLock only. Neither copies nor moves.
class TUTTI_CAPABILITY("mutex") Mutex {
 private:
  friend class MutexLock;
  std::mutex mutex_;
};

/// Holds a mutex from its construction to its end, except between unlock() and lock().
class TUTTI_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TUTTI_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~MutexLock() TUTTI_RELEASE() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() TUTTI_RELEASE() { lock_.unlock(); }
  void lock() TUTTI_ACQUIRE() { lock_.lock(); }

 private:
  friend class Condition;
  std::unique_lock<std::mutex> lock_;
};

/// A condition variable. Its waits may end without a reason: call them in a loop that looks at the guarded fields.
/// There is no overload with a predicate, since the analysis would not know that the lock is held in it.
class Condition {
 public:
  void wait(MutexLock& lock) { changed_.wait(lock.lock_); }
  /// False once `end` has passed.
  bool wait_until(MutexLock& lock, std::chrono::steady_clock::time_point end) {
    return changed_.wait_until(lock.lock_, end) == std::cv_status::no_timeout;
  }
  void notify_one() noexcept { changed_.notify_one(); }
  void notify_all() noexcept { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace tutti
