// How many threads each worker computes with, and the environment variables that say so. Pure.
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

/// One share for each set of cores; an empty set means all cores of the machine. A share is the usable cores of the
/// set, divided among the sets that overlap it; or `wanted` threads, unless that is 0.
std::vector<ThreadShare> share_threads(const std::vector<std::vector<int>>& core_sets, std::uint32_t wanted,
                                       const Machine& machine);

/// The environment variables for a worker's libraries.
Environment environment_of(const ThreadShare& share, bool cuda);

}  // namespace tutti
