// What this machine offers to this process: cores, memory, GPUs. Read once; plan.hpp makes the decisions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/process_memory.hpp"

namespace tutti {

struct Gpu {
  int index = 0;  ///< as the user counts them: within CUDA_VISIBLE_DEVICES if that is set
  std::string uuid;
  std::string name;
  std::uint64_t memory_bytes = 0;
};

struct AvailableMemory {
  std::uint64_t bytes = 0;  ///< the lesser of MemAvailable and what the cgroups leave
  std::string limited_by;   ///< "MemAvailable" or "cgroup limit"
};
AvailableMemory available_memory();

struct Machine {
  std::vector<int> cores;           ///< operating system numbers of the cores that this process may use, sorted
  std::vector<int> present_cores;   ///< of all cores that the machine has, online or not
  std::optional<double> cpu_quota;  ///< in cores, if the cgroup limits the CPU time
  AvailableMemory memory;
  std::vector<Gpu> gpus;
  std::string why_no_gpu;           ///< if `gpus` is empty
  std::string why_no_cuda_members;  ///< if the worker has no CUDA plugin; else empty
};

/// Whether to ask the NVIDIA driver, which can take long.
enum class GpuSearch { no, yes };

/// `worker` is the worker program, next to which the plugins are looked for.
Machine look_at_machine(const std::filesystem::path& worker, GpuSearch gpus);

}  // namespace tutti
