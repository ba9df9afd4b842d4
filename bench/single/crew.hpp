// A fixed number of threads that share out numbered pieces of work. They live as long as the crew, as a worker's
// thread does, so that what belongs to a thread (OpenMP's team, the allocator's arena, a stream) is made once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "common/mutex.hpp"

namespace tutti::bench {

class Crew {
 public:
  /// Each thread runs `live`, which calls its argument; that call returns when the crew ends.
  Crew(std::uint32_t threads, std::function<void(const std::function<void()>&)> live);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// Calls `work(i)` for every i below `count`, each on the thread that is free first; waits for all. Throws the first
  /// exception of a call; pieces that have not started then are left out.
  void each(std::size_t count, const std::function<void(std::size_t)>& work);

 private:
  void serve();

  Mutex mutex_;
  Condition changed_;
  const std::function<void(std::size_t)>* work_ TUTTI_GUARDED_BY(mutex_) = nullptr;
  std::size_t count_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::size_t next_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::size_t busy_ TUTTI_GUARDED_BY(mutex_) = 0;  // threads at a piece
  bool over_ TUTTI_GUARDED_BY(mutex_) = false;
  std::exception_ptr failure_ TUTTI_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;  // constant after construction
};

}  // namespace tutti::bench
