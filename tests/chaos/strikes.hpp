// A thread that ends, stops and continues workers of a pool at random moments, drawn from a seed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include <tutti/ensemble.hpp>

namespace tutti::test {

struct StrikePlan {
  std::uint64_t seed = 1;
  double per_second = 20;         ///< strikes, exponentially spaced
  double stop_share = 0.3;        ///< of them: SIGSTOP, mostly followed by SIGCONT
  double forgotten_share = 0.02;  ///< of the stops: never continued, so that only the progress deadline ends them
};

struct StrikeCounts {
  std::uint64_t kills = 0;
  std::uint64_t stops = 0;
  std::uint64_t forgotten = 0;
};

/// Strikes the workers of `ensemble`, which outlives it. The destructor waits for the thread.
class Strikes {
 public:
  /// `drawn` numbers the random draws, so that several pools in a row continue one sequence.
  Strikes(const Ensemble& ensemble, const StrikePlan& plan, std::uint64_t& drawn, StrikeCounts& counts);
  ~Strikes();
  Strikes(const Strikes&) = delete;
  Strikes& operator=(const Strikes&) = delete;

 private:
  void run();
  void strike();
  int one_of(const MemberStatus& member);
  double draw();
  bool pause(double seconds) const;

  const Ensemble& ensemble_;
  const StrikePlan plan_;
  std::uint64_t& drawn_;
  StrikeCounts& counts_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace tutti::test
