// For programs that measure the pool in their own process: a sink that costs nothing, the process's CPU time, and how
// long predictions take.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <thread>

#include <tutti/ensemble.hpp>
#include <tutti/predictions.hpp>

namespace tutti::bench {

/// Discards the predictions.
class NullSink final : public Sink {
 public:
  void write(const SegmentResult&) override {}
};

/// User and system time of this process, all threads.
inline double process_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

inline double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double seconds_for(Ensemble& ensemble, const Images& images) {
  const auto begin = std::chrono::steady_clock::now();
  ensemble.predict(images);
  return seconds_since(begin);
}

/// Until both ensembles, which predict at the same time, are done.
inline double seconds_side_by_side(Ensemble& first, Ensemble& second, const Images& images) {
  const auto begin = std::chrono::steady_clock::now();
  std::thread other([&] { seconds_for(second, images); });
  seconds_for(first, images);
  other.join();
  return seconds_since(begin);
}

}  // namespace tutti::bench
