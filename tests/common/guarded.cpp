// Not a part of any program: ctest lets clang look at it, as it is and with TUTTI_WITHOUT_LOCK, where the lock that it
// needs is missing (tutti_test_of_locks in cmake/TuttiTest.cmake).
#include "common/mutex.hpp"

namespace {

class Counter {
 public:
  void add() {
#ifndef TUTTI_WITHOUT_LOCK
    const tutti::MutexLock lock(mutex_);
#endif
    ++count_;
  }

  void wait_for_one() {
    tutti::MutexLock lock(mutex_);
    while (count_ == 0) changed_.wait(lock);
  }

 private:
  tutti::Mutex mutex_;
  tutti::Condition changed_;
  int count_ TUTTI_GUARDED_BY(mutex_) = 0;
};

}  // namespace

int main() {
  Counter counter;
  counter.add();
  counter.wait_for_one();
}
