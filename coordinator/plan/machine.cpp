#include "coordinator/plan/machine.hpp"

#include <fmt/format.h>
#include <hwloc.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include <tutti/error.hpp>

#include "common/wire/spawn_contract.hpp"
#include "coordinator/plan/cgroup.hpp"
#include "coordinator/plan/gpus.hpp"

namespace tutti {
namespace {

std::vector<int> to_numbers(hwloc_const_bitmap_t set) {
  std::vector<int> numbers;
  for (int number = hwloc_bitmap_first(set); number >= 0; number = hwloc_bitmap_next(set, number))
    numbers.push_back(number);
  return numbers;
}

void look_at_cores(Machine& machine) {
  hwloc_topology_t topology = nullptr;
  hwloc_bitmap_t bound = hwloc_bitmap_alloc();
  if (hwloc_topology_init(&topology) == 0 && hwloc_topology_load(topology) == 0) {
    hwloc_const_bitmap_t present = hwloc_topology_get_complete_cpuset(topology);
    hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_cpuset(topology);
    machine.present_cores = to_numbers(present);
    if (hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_PROCESS) != 0) hwloc_bitmap_copy(bound, allowed);
    hwloc_bitmap_and(bound, bound, allowed);
    machine.cores = to_numbers(bound);
  }
  hwloc_bitmap_free(bound);
  if (topology != nullptr) hwloc_topology_destroy(topology);
  if (machine.cores.empty()) throw Error(ErrorKind::failed, "could not find out which cores this process may use");
}

}  // namespace

AvailableMemory available_memory() {
  AvailableMemory memory{std::numeric_limits<std::uint64_t>::max(), "no limit that Tutti can find"};
  std::ifstream in("/proc/meminfo");
  for (std::string key, rest; in >> key; std::getline(in, rest)) {
    std::uint64_t kibibytes = 0;
    if (in >> kibibytes && key == "MemAvailable:") memory = {kibibytes * 1024, "MemAvailable"};
  }
  const auto left = cgroup_limits().memory_left;
  if (left && *left < memory.bytes) memory = {*left, "cgroup limit"};
  return memory;
}

Machine look_at_machine(const std::filesystem::path& worker, GpuSearch gpus) {
  Machine machine;
  look_at_cores(machine);
  machine.cpu_quota = cgroup_limits().cpu_quota;
  machine.memory = available_memory();
  if (gpus == GpuSearch::no)
    machine.why_no_gpu = "not looked for: no member needs one";
  else
    machine.gpus = find_gpus(machine.why_no_gpu);
  if (find_plugin(worker.parent_path(), kCudaPlugin).empty())
    machine.why_no_cuda_members = fmt::format("Tutti was built without its CUDA plugin, {}", kCudaPlugin);
  return machine;
}

}  // namespace tutti
