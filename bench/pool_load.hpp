// For programs that measure the pool in their own process: a sink that costs nothing, and the process's CPU time.
#pragma once

#include <sys/resource.h>

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

}  // namespace tutti::bench
