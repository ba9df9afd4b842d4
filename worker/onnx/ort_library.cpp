#include "worker/onnx/ort_library.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include <tutti/error.hpp>

#include "worker/graph/user_library.hpp"

namespace tutti::worker::ort {
namespace {

const UserLibrary& description() {
  static const UserLibrary library{
      .name = "ONNX Runtime",
      .variable = kVariable,
      .file = "libonnxruntime.so",
      .places = {".", "capi", "lib", "onnxruntime/capi"},
      .system_names = {"libonnxruntime.so", "libonnxruntime.so.1"},
      .hint =
          "install it with 'pip install onnxruntime', and name it: "
          "export TUTTI_ONNXRUNTIME=$(python3 -c 'import onnxruntime; print(onnxruntime.__path__[0])')"};
  return library;
}

}  // namespace

const Library& Library::get() {
  static const Library library;
  return library;
}

Library::Library() {
  void* const library = open_user_library(description());
  const auto base_of = reinterpret_cast<const Base* (*)()>(function_of(library, "OrtGetApiBase", description()));
  const Base& base = *base_of();
  version_ = base.version();
  table_ = base.table(kVersion);
  if (table_ == nullptr)
    throw Error(ErrorKind::failed, fmt::format("ONNX Runtime {} is too old or too new for Tutti", version_),
                fmt::format("Tutti needs version {} of its C interface, which 1.{} and later have", kVersion, kVersion),
                std::string(description().hint));
}

void Library::fail(Status status) const {
  const std::string message = plain<GetErrorMessage>(status);
  plain<ReleaseStatus>(status);
  throw std::runtime_error(message);
}

}  // namespace tutti::worker::ort
