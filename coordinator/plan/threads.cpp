#include "coordinator/plan/threads.hpp"

#include <algorithm>
#include <string>

#include "common/usable_cores.hpp"

namespace tutti {
namespace {

/// Whether they share a core; both are sorted.
bool overlap(const std::vector<int>& a, const std::vector<int>& b) {
  return std::any_of(a.begin(), a.end(), [&](int core) { return std::binary_search(b.begin(), b.end(), core); });
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
    const std::uint32_t fair = std::max(1U, cores_worth(whole(cores).size(), machine.cpu_quota) / sharers);
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
