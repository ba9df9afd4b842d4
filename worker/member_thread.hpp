// A thread that computes for one member of a unit: it carries out what it is given, one thing after the other. A member
// is loaded, warmed up and asked on the same thread, because libraries keep state by thread.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "common/mutex.hpp"

namespace tutti::worker {

class MemberThread {
 public:
  using Deed = std::function<void()>;

  MemberThread();
  /// Waits for what was given.
  ~MemberThread();
  MemberThread(const MemberThread&) = delete;
  MemberThread& operator=(const MemberThread&) = delete;

  /// Gives it something that does not throw, and returns at once.
  void give(Deed deed);
  /// Gives it something and waits for its end. Throws what it throws.
  void run(const Deed& deed);
  /// Returns once it has nothing to do.
  void finish();

 private:
  void work();

  Mutex mutex_;
  Condition changed_;
  std::deque<Deed> deeds_ TUTTI_GUARDED_BY(mutex_);  // the first is being done
  bool ends_ TUTTI_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tutti::worker
