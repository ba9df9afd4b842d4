#include "bench/single/recording.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/wire/spawn_contract.hpp"

namespace tutti::bench {

Recorder open_recorder(const std::filesystem::path& folder, std::string_view file) {
  const std::filesystem::path path = find_plugin(folder, file);
  if (path.empty())
    throw Error(ErrorKind::failed, fmt::format("cannot record graphs of a GPU: {} is not installed", file), {},
                "build Tutti with a CUDA toolkit, or use 'threads'");
  void* const plugin = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr)
    throw Error(ErrorKind::failed, fmt::format("cannot open {}", path.lexically_normal().string()), ::dlerror(),
                "use a LibTorch with CUDA and all of its libraries");
  const auto entry = reinterpret_cast<RecorderEntry>(::dlsym(plugin, kRecorderEntry));
  if (entry == nullptr)
    throw Error(ErrorKind::failed, fmt::format("{} cannot record graphs", path.string()), ::dlerror(),
                "build or install Tutti again");
  const RecorderPlugin& recorder = *entry();
  if (std::string_view(recorder.build_id) != build_id())
    throw Error(ErrorKind::failed, fmt::format("{} belongs to another build of Tutti", path.string()),
                fmt::format("plugin {}, program {}", recorder.build_id, build_id()), "build or install Tutti again");
  return recorder.record;
}

}  // namespace tutti::bench
