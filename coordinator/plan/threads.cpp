#include "coordinator/plan/threads.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace tutti {
namespace {

/// Whether they share a core; both are sorted.
bool overlap(const std::vector<int>& a, const std::vector<int>& b) {
  return std::any_of(a.begin(), a.end(), [&](int core) { return std::binary_search(b.begin(), b.end(), core); });
}

/// How many cores' worth of time a set of cores gives: the cgroup may grant less time than there are cores.
std::uint32_t usable(const std::vector<int>& cores, const Machine& machine) {
  const double granted = machine.cpu_quota.value_or(static_cast<double>(cores.size()));
  const double worth = std::min(static_cast<double>(cores.size()), std::floor(granted + 1e-9));
  return static_cast<std::uint32_t>(std::max(1.0, worth));
}

}  // namespace

std::vector<ThreadShare> share_threads(const std::vector<std::vector<int>>& core_sets, std::uint32_t wanted,
                                       const Machine& machine) {
  const auto whole = [&](const std::vector<int>& cores) -> const std::vector<int>& {
    return cores.empty() ? machine.cores : cores;
  };
  std::vector<ThreadShare> shares;
  for (const auto& cores : core_sets) {
    const auto sharers = static_cast<std::uint32_t>(std::count_if(
        core_sets.begin(), core_sets.end(), [&](const auto& others) { return overlap(whole(cores), whole(others)); }));
    const std::uint32_t fair = std::max(1U, usable(whole(cores), machine) / sharers);
    shares.push_back({wanted != 0 ? wanted : fair, sharers > 1});
  }
  return shares;
}

Environment environment_of(const ThreadShare& share, bool cuda) {
  Environment environment{{"OMP_NUM_THREADS", std::to_string(share.threads)},
                          {"MKL_NUM_THREADS", std::to_string(share.threads)}};
  // A thread pool that spins while it waits takes the core from the workers that share it.
  if (share.shares_cores) environment.emplace_back("OMP_WAIT_POLICY", "passive");
  if (!cuda) environment.emplace_back("CUDA_VISIBLE_DEVICES", "");
  return environment;
}

}  // namespace tutti
