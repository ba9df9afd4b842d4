#include "coordinator/machine.hpp"

#include <fmt/format.h>
#include <hwloc.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include <tutti/error.hpp>

#include "common/spawn_contract.hpp"
#include "coordinator/gpus.hpp"

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

std::string read_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// The folders of this process's cgroup and its ancestors (version 2), innermost first: each of them may limit.
std::vector<std::filesystem::path> cgroup_folders() {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("0::")) continue;
    std::vector<std::filesystem::path> folders;
    const std::filesystem::path root = "/sys/fs/cgroup";
    std::filesystem::path relative = std::filesystem::path(line.substr(3)).relative_path();
    for (;; relative = relative.parent_path()) {
      folders.push_back(root / relative);
      if (relative.empty()) return folders;
    }
  }
  return {};
}

std::optional<std::uint64_t> read_number(const std::filesystem::path& file) {
  std::istringstream in(read_line(file));
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

void look_at_quota(Machine& machine) {
  for (const auto& folder : cgroup_folders()) {
    std::istringstream in(read_line(folder / "cpu.max"));
    double quota = 0;
    double period = 0;
    if (in >> quota >> period && period > 0)
      machine.cpu_quota = std::min(quota / period, machine.cpu_quota.value_or(quota / period));
  }
}

}  // namespace

AvailableMemory available_memory() {
  AvailableMemory memory{std::numeric_limits<std::uint64_t>::max(), "nothing that /proc tells"};
  std::ifstream in("/proc/meminfo");
  for (std::string key, unit; in >> key;) {
    std::uint64_t kibibytes = 0;
    if (!(in >> kibibytes)) break;
    std::getline(in, unit);
    if (key != "MemAvailable:") continue;
    memory = {kibibytes * 1024, "MemAvailable"};
  }
  for (const auto& folder : cgroup_folders()) {
    const auto limit = read_number(folder / "memory.max");
    const auto used = read_number(folder / "memory.current");
    if (!limit || !used) continue;
    const std::uint64_t rest = *limit > *used ? *limit - *used : 0;
    if (rest < memory.bytes) memory = {rest, "cgroup limit"};
  }
  return memory;
}

Machine look_at_machine(const std::filesystem::path& worker) {
  Machine machine;
  look_at_cores(machine);
  look_at_quota(machine);
  machine.memory = available_memory();
  machine.gpus = find_gpus(machine.why_no_gpu);
  if (find_plugin(worker.parent_path(), kCudaPlugin).empty())
    machine.why_no_cuda_members = fmt::format("Tutti was built without its CUDA plugin, {}", kCudaPlugin);
  return machine;
}

std::optional<std::uint64_t> pss_bytes(int pid) {
  std::ifstream in(fmt::format("/proc/{}/smaps_rollup", pid));
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    std::uint64_t kibibytes = 0;
    if (words >> key >> kibibytes && key == "Pss:") return kibibytes * 1024;
  }
  return std::nullopt;
}

}  // namespace tutti
