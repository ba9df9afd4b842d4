#include "coordinator/plan/gpus.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>

namespace tutti {
namespace {

// The few declarations of NVML that are needed (its ABI is stable): https://docs.nvidia.com/deploy/nvml-api.
using NvmlDevice = void*;
struct NvmlMemory {
  unsigned long long total, free, used;  // NOLINT: the library's types
};

class Nvml {
 public:
  Nvml() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) {
      problem_ = "no NVIDIA driver: libnvidia-ml.so.1 is not installed";
      return;
    }
    const int result = call<int (*)()>("nvmlInit_v2");
    if (result != 0) problem_ = fmt::format("the NVIDIA driver does not answer: NVML error {}", result);
  }
  ~Nvml() {
    if (library_ == nullptr) return;
    if (problem_.empty()) call<int (*)()>("nvmlShutdown");
    ::dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  const std::string& problem() const { return problem_; }

  std::vector<Gpu> devices() {
    unsigned count = 0;
    if (call<int (*)(unsigned*)>("nvmlDeviceGetCount_v2", &count) != 0) return {};
    std::vector<Gpu> gpus;
    for (unsigned index = 0; index < count; ++index) {
      NvmlDevice device = nullptr;
      char uuid[96] = "";
      char name[96] = "";
      NvmlMemory memory{};
      if (call<int (*)(unsigned, NvmlDevice*)>("nvmlDeviceGetHandleByIndex_v2", index, &device) != 0 ||
          call<int (*)(NvmlDevice, char*, unsigned)>("nvmlDeviceGetUUID", device, uuid, 96U) != 0)
        continue;
      call<int (*)(NvmlDevice, char*, unsigned)>("nvmlDeviceGetName", device, name, 96U);
      call<int (*)(NvmlDevice, NvmlMemory*)>("nvmlDeviceGetMemoryInfo", device, &memory);
      gpus.push_back({static_cast<int>(gpus.size()), uuid, name, memory.total});
    }
    return gpus;
  }

 private:
  template <class Function, class... Args>
  int call(const char* symbol, Args... args) {
    const auto function = reinterpret_cast<Function>(::dlsym(library_, symbol));
    return function == nullptr ? -1 : function(args...);
  }

  void* library_;
  std::string problem_;
};

}  // namespace

std::vector<Gpu> visible_gpus(const std::vector<Gpu>& all, const char* visible) {
  if (visible == nullptr) return all;
  std::vector<Gpu> chosen;
  std::string_view rest(visible);
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find(','));
    rest = name.size() == rest.size() ? std::string_view{} : rest.substr(name.size() + 1);
    int number = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    const bool is_number = error == std::errc{} && end == name.data() + name.size();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Gpu& gpu) {
      return is_number ? gpu.index == number : name.size() > 4 && gpu.uuid.starts_with(name);
    });
    // A scheduler may have assigned a part of a GPU, which is not in NVML's list of GPUs. CUDA will say whether it
    // exists.
    const bool is_mig = name.starts_with("MIG-");
    if (found == all.end() && !is_mig) break;
    Gpu gpu = is_mig ? Gpu{0, std::string(name), "MIG instance", 0} : *found;
    gpu.index = static_cast<int>(chosen.size());
    chosen.push_back(std::move(gpu));
  }
  return chosen;
}

std::vector<Gpu> find_gpus(std::string& why_none) {
  Nvml nvml;
  why_none = nvml.problem();
  if (!why_none.empty()) return {};
  const std::vector<Gpu> all = nvml.devices();
  std::vector<Gpu> gpus = visible_gpus(all, std::getenv("CUDA_VISIBLE_DEVICES"));
  if (all.empty())
    why_none = "the NVIDIA driver shows no GPU";
  else if (gpus.empty())
    why_none = "CUDA_VISIBLE_DEVICES hides every GPU";
  return gpus;
}

}  // namespace tutti
