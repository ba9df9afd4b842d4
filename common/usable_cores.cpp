#include "common/usable_cores.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "common/cgroup.hpp"

namespace tutti {

std::uint32_t cores_worth(std::size_t cores, const std::optional<double>& quota) {
  const double granted = quota.value_or(static_cast<double>(cores));
  const double worth = std::min(static_cast<double>(cores), std::floor(granted + 1e-9));
  return static_cast<std::uint32_t>(std::max(1.0, worth));
}

std::uint32_t usable_cores() {
  cpu_set_t set;
  // Fails on machines with more cores than the set has room for.
  const bool known = ::sched_getaffinity(0, sizeof set, &set) == 0;
  return cores_worth(known ? static_cast<std::size_t>(CPU_COUNT(&set)) : std::thread::hardware_concurrency(),
                     cgroup_limits().cpu_quota);
}

}  // namespace tutti
