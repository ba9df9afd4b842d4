#include "bench/single/crew.hpp"

#include <utility>

namespace tutti::bench {

Crew::Crew(std::uint32_t threads, std::function<void(const std::function<void()>&)> live) {
  for (std::uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this, live] { live([this] { serve(); }); });
}

Crew::~Crew() {
  {
    const MutexLock lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::each(std::size_t count, const std::function<void(std::size_t)>& work) {
  MutexLock lock(mutex_);
  work_ = &work;
  count_ = count;
  next_ = 0;
  changed_.notify_all();
  while (next_ != count_ || busy_ != 0) changed_.wait(lock);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Crew::serve() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!over_ && next_ >= count_) changed_.wait(lock);
    if (over_) return;
    const std::size_t piece = next_++;
    const auto& work = *work_;
    ++busy_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      work(piece);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    --busy_;
    if (failure) {
      next_ = count_;
      if (!failure_) failure_ = failure;
    }
    if (next_ == count_ && busy_ == 0) changed_.notify_all();
  }
}

}  // namespace tutti::bench
