#include "bench/comparison/noise.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "common/thread.hpp"

namespace tutti::bench {
namespace {

/// A chain in which each step needs the one before, so that no compiler and no wide core shortens it (splitmix64).
std::uint64_t fixed_arithmetic(std::uint64_t state) {
  constexpr int kSteps = 4'000'000;
  for (int i = 0; i < kSteps; ++i) {
    state += 0x9E3779B97F4A7C15ULL;
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9ULL;
    state ^= state >> 31;
  }
  return state;
}

}  // namespace

double time_fixed_arithmetic(std::uint32_t threads) {
  std::atomic<std::uint64_t> kept = 0;  // a result that is used cannot be left out
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> others;
  for (std::uint32_t t = 1; t < threads; ++t)
    others.push_back(start_thread("tutti-noise", [&kept, t] { kept ^= fixed_arithmetic(t); }));
  kept ^= fixed_arithmetic(0);
  for (std::thread& other : others) other.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace tutti::bench
