// The limits of the control groups that this process is in, of version 2 and of version 1. Reads files; decides
// nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace tutti {

struct CgroupLimits {
  std::optional<double> cpu_quota;           ///< in cores; the lowest of all levels
  std::optional<std::uint64_t> memory_left;  ///< bytes until the limit; page cache that can be dropped counts as free
};

/// `proc_cgroup` is /proc/self/cgroup, `mount` is /sys/fs/cgroup: tests use their own files.
CgroupLimits cgroup_limits(const std::filesystem::path& proc_cgroup = "/proc/self/cgroup",
                           const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace tutti
