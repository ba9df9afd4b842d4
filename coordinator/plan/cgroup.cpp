#include "coordinator/plan/cgroup.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace tutti {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::istringstream in(first_line(file));
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

/// The value behind a key of memory.stat.
std::uint64_t stat_value(const fs::path& file, const std::string& wanted) {
  std::ifstream in(file);
  std::string key;
  std::uint64_t value = 0;
  while (in >> key >> value)
    if (key == wanted) return value;
  return 0;
}

/// The group's folder and those above it, since each may set a limit. In a container the host's path may not be
/// visible; then the root of the mount is the container's group.
std::vector<fs::path> levels(const fs::path& root, fs::path group) {
  std::vector<fs::path> folders;
  for (group = group.relative_path(); !group.empty(); group = group.parent_path()) folders.push_back(root / group);
  folders.push_back(root);
  return folders;
}

void lower_quota(CgroupLimits& limits, double quota, double period) {
  if (quota <= 0 || period <= 0) return;  // -1: no limit
  limits.cpu_quota = std::min(quota / period, limits.cpu_quota.value_or(quota / period));
}

void lower_memory(CgroupLimits& limits, std::uint64_t limit, std::uint64_t used, std::uint64_t cache) {
  used -= std::min(used, cache);
  const std::uint64_t left = limit > used ? limit - used : 0;
  limits.memory_left = std::min(left, limits.memory_left.value_or(left));
}

void read_version_2(CgroupLimits& limits, const fs::path& folder) {
  std::istringstream cpu(first_line(folder / "cpu.max"));
  double quota = 0;
  double period = 0;
  if (cpu >> quota >> period) lower_quota(limits, quota, period);
  const auto limit = number_in(folder / "memory.max");
  const auto used = number_in(folder / "memory.current");
  const fs::path stat = folder / "memory.stat";
  if (limit && used)
    lower_memory(limits, *limit, *used, stat_value(stat, "inactive_file") + stat_value(stat, "active_file"));
}

void read_version_1_cpu(CgroupLimits& limits, const fs::path& folder) {
  std::istringstream quota_text(first_line(folder / "cpu.cfs_quota_us"));
  std::istringstream period_text(first_line(folder / "cpu.cfs_period_us"));
  double quota = 0;
  double period = 0;
  if (quota_text >> quota && period_text >> period) lower_quota(limits, quota, period);
}

void read_version_1_memory(CgroupLimits& limits, const fs::path& folder) {
  const auto limit = number_in(folder / "memory.limit_in_bytes");
  const auto used = number_in(folder / "memory.usage_in_bytes");
  const fs::path stat = folder / "memory.stat";
  if (limit && used)
    lower_memory(limits, *limit, *used,
                 stat_value(stat, "total_inactive_file") + stat_value(stat, "total_active_file"));
}

bool names(const std::string& controllers, const std::string& wanted) {
  return ("," + controllers + ",").find("," + wanted + ",") != std::string::npos;
}

}  // namespace

CgroupLimits cgroup_limits(const fs::path& proc_cgroup, const fs::path& mount) {
  CgroupLimits limits;
  std::ifstream in(proc_cgroup);
  // "0::/group" is version 2, "4:memory:/group" version 1 (cgroups(7)).
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty())
      for (const fs::path& folder : levels(mount, group)) read_version_2(limits, folder);
    if (names(controllers, "memory"))
      for (const fs::path& folder : levels(mount / "memory", group)) read_version_1_memory(limits, folder);
    if (names(controllers, "cpu"))
      for (const fs::path& folder : levels(mount / "cpu", group)) read_version_1_cpu(limits, folder);
  }
  return limits;
}

}  // namespace tutti
