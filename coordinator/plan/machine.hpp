// What this machine offers to this process: cores, memory, GPUs. Measured once; no decisions (plan.hpp makes them).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/process_memory.hpp"

namespace tutti {

struct Gpu {
  int index = 0;  ///< as the user counts them: within CUDA_VISIBLE_DEVICES where that is set
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
  std::optional<double> cpu_quota;  ///< cores' worth of time that the cgroup grants, where it limits
  AvailableMemory memory;
  std::vector<Gpu> gpus;
  std::string why_no_gpu;           ///< where gpus is empty
  std::string why_no_cuda_members;  ///< where the worker has no CUDA plugin; else empty
};

/// Whether the NVIDIA driver is asked, which can take long.
enum class GpuSearch { no, yes };

/// `worker` is the worker program, whose plugins are looked for.
Machine look_at_machine(const std::filesystem::path& worker, GpuSearch gpus);

}  // namespace tutti
