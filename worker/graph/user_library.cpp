#include "worker/graph/user_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <tutti/error.hpp>

namespace tutti::worker {
namespace {

namespace fs = std::filesystem;

/// libonnxruntime.so or libonnxruntime.so.1.23.0 in a folder; empty if there is none.
fs::path library_in(const fs::path& folder, std::string_view file) {
  std::error_code unreadable;
  for (fs::directory_iterator entry(folder, unreadable), end; !unreadable && entry != end; entry.increment(unreadable))
    if (entry->path().filename().string().starts_with(file)) return entry->path();
  return {};
}

/// The library that the variable names; empty if it is not set.
fs::path chosen(const UserLibrary& library) {
  const char* const named = std::getenv(std::string(library.variable).c_str());
  if (named == nullptr || *named == '\0') return {};
  const fs::path path(named);
  std::error_code unreadable;
  if (!fs::is_directory(path, unreadable)) return path;
  for (const std::string_view place : library.places)
    if (const fs::path found = library_in(path / place, library.file); !found.empty()) return found;
  throw Error(ErrorKind::failed,
              fmt::format("there is no {} in '{}', which {} names", library.file, named, library.variable), {},
              std::string(library.hint));
}

}  // namespace

void* open_user_library(const UserLibrary& library) {
  const fs::path named = chosen(library);
  if (!named.empty()) {
    if (void* const open = ::dlopen(named.c_str(), RTLD_NOW | RTLD_LOCAL)) return open;
    throw Error(ErrorKind::failed, fmt::format("cannot open the {} that {} names", library.name, library.variable),
                ::dlerror(), std::string(library.hint));
  }
  for (const std::string_view name : library.system_names)
    if (void* const open = ::dlopen(std::string(name).c_str(), RTLD_NOW | RTLD_LOCAL)) return open;
  throw Error(ErrorKind::failed, fmt::format("it needs {}, which was not found", library.name), {},
              std::string(library.hint));
}

void* function_of(void* open, const char* function, const UserLibrary& library) {
  if (void* const found = ::dlsym(open, function)) return found;
  throw Error(ErrorKind::failed, fmt::format("the library that {} names is not {}", library.variable, library.name),
              ::dlerror(), std::string(library.hint));
}

}  // namespace tutti::worker
