// Plans for made-up machines. For tests only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti::test {

inline Machine machine_of(int cores, std::optional<double> quota = {}) {
  Machine machine;
  for (int core = 0; core < cores; ++core) machine.cores.push_back(core);
  machine.present_cores = machine.cores;
  machine.cpu_quota = quota;
  machine.memory = {8ULL << 30, "MemAvailable"};
  machine.why_no_gpu = "no NVIDIA driver: libnvidia-ml.so.1 is not installed";
  return machine;
}

inline Machine with_gpus(Machine machine) {
  machine.gpus = {{0, "GPU-aaaa", "H200", 1}, {1, "GPU-bbbb", "L4", 1}};
  machine.why_no_gpu.clear();
  return machine;
}

inline Plan plan_of(const std::string& assignment, const Machine& machine, std::size_t members = 2,
                    const std::string& more = "", const Options& options = {},
                    const std::vector<std::string>& assign = {}, std::optional<std::uint64_t> images = {}) {
  std::string yaml = "members:\n";
  for (std::size_t m = 0; m < members; ++m)
    yaml += "  - {name: m" + std::to_string(m) + ", model: {kind: fake, classes: 4}}\n";
  yaml += "assignment: " + assignment + "\n" + more;
  return make_plan(config::load_text(yaml, "test", {{}, assign}), machine, {{3, 32, 32}, images}, options);
}

/// A variable of the worker's environment.
inline std::string variable(const WorkerPlan& worker, const std::string& name) {
  std::string value = "(not set)";
  for (const auto& [key, text] : worker.environment)
    if (key == name) value = text;
  return value;
}

}  // namespace tutti::test
