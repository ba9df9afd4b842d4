// The ONNX Runtime that the user has installed, opened at run time.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "worker/onnx/ort_api.hpp"

namespace tutti::worker::ort {

/// The variable that names the library: its file, or a folder that holds it (that of Python's package `onnxruntime`, or
/// of an SDK).
inline constexpr const char* kVariable = "TUTTI_ONNXRUNTIME";

/// Opened once per process, and never closed: its threads could still run.
class Library {
 public:
  /// Opens it at the first call. Throws Error(failed) if it is not found, cannot be opened or is too old; a later call
  /// tries again.
  static const Library& get();

  const std::string& version() const noexcept { return version_; }

  /// Calls a function of the table that returns no Status.
  template <class Function, class... Arguments>
  auto plain(Arguments... arguments) const {
    return reinterpret_cast<typename Function::Type>(table_[Function::place])(arguments...);
  }
  /// Calls one that does. Throws std::runtime_error with the library's message.
  template <class Function, class... Arguments>
  void call(Arguments... arguments) const {
    if (const Status status = plain<Function>(arguments...)) fail(status);
  }
  /// Calls one that makes something through its last argument.
  template <class Function, class... Arguments>
  Handle make(Arguments... arguments) const {
    Handle made = nullptr;
    call<Function>(arguments..., &made);
    return made;
  }

 private:
  Library();
  [[noreturn]] void fail(Status status) const;

  const Handle* table_ = nullptr;
  std::string version_;
};

/// A handle that is released by Release.
template <class Release>
class Owned {
 public:
  explicit Owned(Handle handle = nullptr) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) Library::get().plain<Release>(handle_);
  }
  Handle get() const noexcept { return handle_; }

 private:
  Handle handle_;
};

using Session = Owned<ReleaseSession>;
using Value = Owned<ReleaseValue>;

}  // namespace tutti::worker::ort
