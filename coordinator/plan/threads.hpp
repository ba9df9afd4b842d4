// How many threads each worker computes with, and what its environment says of them. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/placement.hpp"

namespace tutti {

struct ThreadShare {
  std::uint32_t threads = 1;
  bool shares_cores = false;  ///< with another worker
};

/// One share for each of the sets of cores, of which an empty one stands for all that the machine has: its usable
/// cores, divided among the sets that overlap it. `wanted` threads for each instead, unless it is 0.
std::vector<ThreadShare> share_threads(const std::vector<std::vector<int>>& core_sets, std::uint32_t wanted,
                                       const Machine& machine);

/// What a worker's libraries are told.
Environment environment_of(const ThreadShare& share, bool cuda);

}  // namespace tutti
