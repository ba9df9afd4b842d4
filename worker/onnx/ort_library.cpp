#include "worker/onnx/ort_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include <tutti/error.hpp>

namespace tutti::worker::ort {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHint =
    "install it with 'pip install onnxruntime', and name it: "
    "export TUTTI_ONNXRUNTIME=$(python3 -c 'import onnxruntime; print(onnxruntime.__path__[0])')";

/// libonnxruntime.so or libonnxruntime.so.1.23.0 in a folder; empty if there is none.
fs::path library_in(const fs::path& folder) {
  std::error_code unreadable;
  for (fs::directory_iterator entry(folder, unreadable), end; !unreadable && entry != end; entry.increment(unreadable))
    if (entry->path().filename().string().starts_with("libonnxruntime.so")) return entry->path();
  return {};
}

/// The library that the variable names; empty if it is not set.
fs::path chosen() {
  const char* const named = std::getenv(kVariable);
  if (named == nullptr || *named == '\0') return {};
  const fs::path path(named);
  std::error_code unreadable;
  if (!fs::is_directory(path, unreadable)) return path;
  for (const char* const within : {".", "capi", "lib", "onnxruntime/capi"})
    if (const fs::path found = library_in(path / within); !found.empty()) return found;
  throw Error(ErrorKind::failed, fmt::format("there is no libonnxruntime.so in '{}', which {} names", named, kVariable),
              {}, std::string(kHint));
}

void* open() {
  const fs::path named = chosen();
  if (!named.empty()) {
    if (void* const library = ::dlopen(named.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    throw Error(ErrorKind::failed, fmt::format("cannot open the ONNX Runtime that {} names", kVariable), ::dlerror(),
                std::string(kHint));
  }
  for (const char* const name : {"libonnxruntime.so", "libonnxruntime.so.1"})
    if (void* const library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  throw Error(ErrorKind::failed, "a member of kind 'onnx' needs ONNX Runtime, which was not found", {},
              std::string(kHint));
}

}  // namespace

const Library& Library::get() {
  static const Library library;
  return library;
}

Library::Library() {
  void* const library = open();
  const auto base_of = reinterpret_cast<const Base* (*)()>(::dlsym(library, "OrtGetApiBase"));
  if (base_of == nullptr)
    throw Error(ErrorKind::failed, fmt::format("the library that {} names is not ONNX Runtime", kVariable), ::dlerror(),
                std::string(kHint));
  const Base& base = *base_of();
  version_ = base.version();
  table_ = base.table(kVersion);
  if (table_ == nullptr)
    throw Error(ErrorKind::failed, fmt::format("ONNX Runtime {} is too old or too new for Tutti", version_),
                fmt::format("Tutti needs version {} of its C interface, which 1.{} and later have", kVersion, kVersion),
                std::string(kHint));
}

void Library::fail(Status status) const {
  const std::string message = plain<GetErrorMessage>(status);
  plain<ReleaseStatus>(status);
  throw std::runtime_error(message);
}

}  // namespace tutti::worker::ort
