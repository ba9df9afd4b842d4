#include "worker/backend_loader.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/program_folder.hpp"
#include "common/wire/spawn_contract.hpp"
#include "worker/fake.hpp"
#include "worker/libtorch_command.hpp"
#include "worker/libtorch_version.hpp"
#include "worker/saved.hpp"
#include "worker/views.hpp"

namespace tutti::worker {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_library(const std::string& message) {
  const std::string reason = ::dlerror();
  throw Error(ErrorKind::failed, message, reason, library_hint(reason));
}

// The LibTorch that the user chose is opened first; otherwise the plugin finds one by its own search path.
void open_libtorch(bool cuda) {
  const fs::path folder = chosen_libtorch();
  if (folder.empty()) return;
  check_libtorch_version(folder, libtorch_version());
  std::vector<std::string_view> files{"libc10.so", "libtorch_cpu.so"};
  if (cuda) files.insert(files.end(), {"libc10_cuda.so", "libtorch_cuda.so"});
  for (const std::string_view file : files) {
    const fs::path path = folder / file;
    if (::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr)
      refuse_library("cannot open the LibTorch that TUTTI_LIBTORCH names");
  }
}

std::string cannot_run(std::string_view what, std::string_view why) {
  return fmt::format("cannot run {}: {}", what, why);
}

/// A plugin may open a library of the user, and does not know for whom.
const Backend& entered(BackendEntry entry, std::string_view needed_for) {
  try {
    return *entry();
  } catch (const Error& error) {
    throw Error(error.kind(), cannot_run(needed_for, error.message()), error.detail(), error.hint());
  }
}

const Backend& open_backend(std::string_view file, std::string_view needed_for, const std::string& if_missing) {
  const fs::path path = find_plugin(program_folder(), file);
  if (path.empty())
    throw Error(ErrorKind::failed, cannot_run(needed_for, fmt::format("{} is not installed", file)), {}, if_missing);
  if (file == kTorchPlugin || file == kCudaPlugin) open_libtorch(file == kCudaPlugin);
  void* const plugin = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (plugin == nullptr) refuse_library(fmt::format("cannot open {}", path.lexically_normal().string()));
  const auto entry = reinterpret_cast<BackendEntry>(::dlsym(plugin, "tutti_backend"));
  if (entry == nullptr)
    throw Error(ErrorKind::failed, fmt::format("{} is not a backend of Tutti", path.string()), ::dlerror());
  const Backend& backend = entered(entry, needed_for);
  if (std::string_view(backend.build_id) != build_id())
    throw Error(ErrorKind::failed, fmt::format("{} belongs to another build of Tutti", path.string()),
                fmt::format("plugin {}, worker {}", backend.build_id, build_id()), "build or install Tutti again");
  return backend;
}

/// `on_cpu` says what needs the backend if it is not for CUDA.
const Backend& open_torch_backend(bool cuda, std::string_view on_cpu) {
  if (cuda)
    return open_backend(kCudaPlugin, "a member on CUDA",
                        "build Tutti with a CUDA toolkit, or assign the member to cpu");
  return open_backend(kTorchPlugin, on_cpu, "build Tutti with LibTorch (-DTUTTI_WITH_TORCH=ON)");
}

}  // namespace

std::string library_hint(std::string_view reason) {
  static constexpr std::string_view kSigns[] = {"failed to map segment", "Cannot allocate memory"};
  for (const std::string_view sign : kSigns)
    if (reason.find(sign) != reason.npos)
      return "there is not enough memory or address space for LibTorch: raise 'ulimit -v' or the memory limit";
  std::string hint(kLibtorchHint);
  // There is none where it was looked for, as opposed to one that does not fit.
  if (*libtorch_command() != '\0' && reason.find("cannot open shared object file") != reason.npos)
    hint += fmt::format("; or get it: {}", libtorch_command());
  return hint;
}

void preload_backend(bool cuda) { open_torch_backend(cuda, "a member of LibTorch"); }

namespace {

constexpr const char* kInstallAgain = "install Tutti again: the file belongs next to its worker";
PythonModels g_python_models = nullptr;  // set once, before the worker begins

LoadedModel load_plain(const MemberRequest& request) {
  const auto made_by = [&](const Backend& backend) {
    return LoadedModel{backend.make(request), fmt::format("{} {}", backend.name, backend.version)};
  };
  const ComputedBy* const by = backend_of(request.model);
  const std::string needed_for = fmt::format("a member of kind '{}'{}", kind_name(request.model),
                                             by == nullptr ? "" : fmt::format(" with 'backend: {}'", to_name(*by)));
  switch (facts_of(request.model).library) {
    case Library::none:
      break;
    case Library::onnxruntime:
      return made_by(open_backend(kOnnxPlugin, needed_for, kInstallAgain));
    case Library::openvino:
      return made_by(open_backend(kOpenvinoPlugin, needed_for, kInstallAgain));
    case Library::torch:
      return made_by(open_torch_backend(request.cuda, needed_for));
    case Library::python:
      if (g_python_models != nullptr) return g_python_models(request);
      throw Error(ErrorKind::failed, "a python member needs a worker that is a Python interpreter");
  }
  if (is_saved(facts_of(request.model))) return {make_saved_model(request), "saved"};
  return {make_fake_model(request), "fake"};
}

}  // namespace

void host_python_models(PythonModels make) { g_python_models = make; }

LoadedModel load_fused(std::span<const MemberRequest> requests) {
  const MemberRequest& first = requests.front();
  const Backend* backend = nullptr;
  if (facts_of(first.model).library == Library::torch) backend = &open_torch_backend(first.cuda, "fused members");
  if (backend == nullptr || backend->make_fused == nullptr)
    throw Error(ErrorKind::usage, fmt::format("members of kind {} cannot be fused", kind_name(first.model)), {},
                "use 'mode: loop' or 'mode: threads' for their worker");
  return {backend->make_fused(requests), fmt::format("{} {}", backend->name, backend->version)};
}

LoadedModel load_model(const MemberRequest& request) {
  if (request.views.empty()) return load_plain(request);
  LoadedModel loaded = load_plain(behind_views(request));
  loaded.model = std::make_unique<Viewed>(request, std::move(loaded.model));
  return loaded;
}

}  // namespace tutti::worker
