#include "coordinator/plan/placement.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <variant>

#include <tutti/error.hpp>

#include "common/counted.hpp"

namespace tutti {
namespace {

std::string core_text(const std::vector<int>& cores) { return config::to_text(config::CpuDevice{cores}); }

Placement place_on_cores(const std::string& name, const std::vector<int>& cores, const Machine& machine) {
  Placement placement;
  placement.cores = cores;
  placement.device = core_text(cores);
  const auto missing = std::find_if(cores.begin(), cores.end(), [&](int core) {
    return !std::binary_search(machine.cores.begin(), machine.cores.end(), core);
  });
  if (missing == cores.end()) return placement;
  const bool present = std::binary_search(machine.present_cores.begin(), machine.present_cores.end(), *missing);
  placement.problem =
      fmt::format("{}: core {} {}; usable: {}", name, *missing,
                  present ? "may not be used by this process (offline, or left out by its affinity mask or cpuset)"
                          : "does not exist",
                  core_text(machine.cores));
  return placement;
}

Placement place_on_gpu(const std::string& name, const config::CudaDevice& device, const Machine& machine) {
  Placement placement;
  if (!machine.gpus.empty() && !machine.why_no_cuda_members.empty()) {
    placement.problem =
        fmt::format("{}: {} cannot be used: {}", name, config::to_text(device), machine.why_no_cuda_members);
    return placement;
  }
  const auto found = std::find_if(machine.gpus.begin(), machine.gpus.end(), [&](const Gpu& gpu) {
    return device.uuid.empty() ? gpu.index == device.index : gpu.uuid.starts_with(device.uuid);
  });
  // A MIG instance is not in the list of GPUs; CUDA itself will say whether it is there.
  const bool is_mig = device.uuid.starts_with("MIG-");
  if (found == machine.gpus.end() && (!is_mig || machine.gpus.empty())) {
    placement.problem =
        fmt::format("{}: {} does not exist; {}", name, config::to_text(device),
                    machine.gpus.empty() ? machine.why_no_gpu
                                         : fmt::format("this machine has {}", counted(machine.gpus.size(), "GPU")));
    return placement;
  }
  placement.cuda = true;
  if (!is_mig) placement.gpu = found->name;
  placement.device = is_mig ? config::to_text(device) : fmt::format("cuda:{} ({})", found->index, found->name);
  placement.environment.emplace_back("CUDA_VISIBLE_DEVICES", is_mig ? device.uuid : found->uuid);
  placement.environment.emplace_back("CUDA_MODULE_LOADING", "LAZY");
  placement.environment.emplace_back("NVIDIA_TF32_OVERRIDE", "0");
  return placement;
}

Placement place_on_best(const std::string& name, const ModelKind& model, const Machine& machine) {
  Placement placement;
  if (const std::string only = why_only_on_cpu(model); !only.empty()) {
    placement = place_on_cores(name, {}, machine);
    placement.chosen = "the CPU";
    placement.why = fmt::format(", and {}", only);
  } else if (!machine.gpus.empty() && machine.why_no_cuda_members.empty()) {
    placement = place_on_gpu(name, config::CudaDevice{0, {}}, machine);
    placement.chosen = fmt::format("cuda:0 ({})", machine.gpus.front().name);
  } else {
    placement = place_on_cores(name, {}, machine);
    placement.chosen = "the CPU";
    placement.why = fmt::format(" and there is no usable GPU ({})",
                                machine.gpus.empty() ? machine.why_no_gpu : machine.why_no_cuda_members);
  }
  return placement;
}

}  // namespace

Placement place(const config::MemberSpec& member, const Machine& machine) {
  if (const auto* cpu = std::get_if<config::CpuDevice>(&member.device))
    return place_on_cores(member.name, cpu->cores, machine);
  if (const auto* gpu = std::get_if<config::CudaDevice>(&member.device)) {
    Placement placement = place_on_gpu(member.name, *gpu, machine);
    if (const std::string only = why_only_on_cpu(member.model.kind); !only.empty())
      placement.problem = fmt::format("{}: {}, not on {}", member.name, only, config::to_text(member.device));
    return placement;
  }
  return place_on_best(member.name, member.model.kind, machine);
}

std::vector<std::string> notes_of(const std::vector<std::pair<std::string, Placement>>& by_member) {
  std::vector<std::string> notes;
  std::vector<const Placement*> seen;
  const auto same = [](const Placement& a, const Placement& b) { return a.chosen == b.chosen && a.why == b.why; };
  for (const auto& entry : by_member) {
    const Placement& first = entry.second;
    if (first.chosen.empty() || std::ranges::any_of(seen, [&](const Placement* one) { return same(*one, first); }))
      continue;
    seen.push_back(&first);
    std::vector<std::string> names;
    for (const auto& other : by_member)
      if (same(other.second, first)) names.push_back(other.first);
    const bool one = names.size() == 1;
    notes.push_back(fmt::format(
        "{} {} on {}, because 'assignment' gives {} no device{}",
        names.size() == by_member.size() && !one ? "all members" : fmt::format("{}", fmt::join(names, ", ")),
        one ? "runs" : "run", first.chosen, one ? "it" : "them", first.why));
  }
  return notes;
}

void raise_placement_problems(const std::vector<std::string>& problems) {
  if (problems.empty()) return;
  const std::string hint = "devices are written cpu, cpu:0-3, cuda:0; change 'assignment' or use --assign";
  if (problems.size() == 1) throw Error(ErrorKind::usage, problems.front(), {}, hint);
  throw Error(ErrorKind::usage, fmt::format("{} members cannot be placed", problems.size()),
              fmt::format("{}", fmt::join(problems, "\n          ")), hint);
}

}  // namespace tutti
