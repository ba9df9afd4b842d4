#include "merge/passes.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "common/mutex.hpp"
#include "common/thread.hpp"

namespace tutti::merge {
namespace {

class Pass {
 public:
  Pass(std::size_t count, const std::function<void(std::size_t, unsigned)>& work,
       const std::function<void(std::size_t, unsigned)>& deliver)
      : count_(count), work_(work), deliver_(deliver) {}

  void run(unsigned threads) {
    std::vector<std::thread> others;
    try {
      for (unsigned thread = 1; thread < threads; ++thread)
        others.push_back(start_thread("merge", [this, thread] { go(thread); }));
    } catch (...) {
      fail();  // no further thread can be started
    }
    go(0);
    for (std::thread& other : others) other.join();
    const MutexLock lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void go(unsigned thread) {
    try {
      for (std::size_t index = next_++; index < count_; index = next_++) {
        work_(index, thread);
        MutexLock lock(mutex_);
        while (delivered_ != index && !error_) turn_.wait(lock);
        if (error_) return;
        deliver_(index, thread);
        ++delivered_;
        turn_.notify_all();
      }
    } catch (...) {
      fail();
    }
  }

  void fail() {
    const MutexLock lock(mutex_);
    if (!error_) error_ = std::current_exception();
    next_ = count_;
    turn_.notify_all();
  }

  const std::size_t count_;
  const std::function<void(std::size_t, unsigned)>& work_;
  const std::function<void(std::size_t, unsigned)>& deliver_;
  std::atomic<std::size_t> next_ = 0;
  Mutex mutex_;  ///< also held by deliver
  Condition turn_;
  std::size_t delivered_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::exception_ptr error_ TUTTI_GUARDED_BY(mutex_);
};

}  // namespace

void run_pass(std::size_t count, unsigned threads, const std::function<void(std::size_t, unsigned)>& work,
              const std::function<void(std::size_t, unsigned)>& deliver) {
  Pass(count, work, deliver).run(std::max(1U, std::min<unsigned>(threads, static_cast<unsigned>(count))));
}

}  // namespace tutti::merge
