// Opens a backend plugin of the build tree as the worker does. For tests only.
#pragma once

#include <dlfcn.h>

#include <string>

#include "worker/model.hpp"

namespace tutti::test {

/// The plugin's entry, or nullptr and the reason in `problem`. The plugin stays open.
inline const worker::Backend* open_plugin(const std::string& path, std::string& problem) {
  void* const plugin = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    problem = ::dlerror();
    return nullptr;
  }
  const auto entry = reinterpret_cast<worker::BackendEntry>(::dlsym(plugin, "tutti_backend"));
  if (entry == nullptr) {
    problem = ::dlerror();
    return nullptr;
  }
  return entry();
}

}  // namespace tutti::test
