// The OpenVINO that the user has installed, opened at run time.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "worker/openvino/ov_api.hpp"

namespace tutti::worker::ov {

/// The variable that names the library: its file libopenvino_c.so, or a folder that holds it (that of Python's package
/// `openvino`, or of an installation).
inline constexpr const char* kVariable = "TUTTI_OPENVINO";

/// Opened once per process, and never closed: its threads could still run.
class Library {
 public:
  /// Opens it at the first call. Throws Error(failed) if it is not found, cannot be opened or is too old; a later call
  /// tries again.
  static const Library& get();

  const std::string& version() const noexcept { return version_; }
  /// The version and from what it was built.
  const std::string& build() const noexcept { return build_; }
  const Functions& functions() const noexcept { return functions_; }

  /// Throws std::runtime_error with the library's message unless the call worked.
  void check(Status status) const {
    if (status != 0) throw std::runtime_error(message_of(status));
  }
  /// Of the call that returned it last.
  std::string message_of(Status status) const;
  /// Calls a function that gives a text through its last argument.
  template <class... Parameters, class... Arguments>
  std::string text(Status (*function)(Parameters...), Arguments... arguments) const {
    char* given = nullptr;
    check(function(arguments..., &given));
    std::string text = given;
    functions_.free(given);
    return text;
  }
  /// Calls a function that makes something through its last argument.
  template <class... Parameters, class... Arguments>
  Handle make(Status (*function)(Parameters...), Arguments... arguments) const {
    Handle made = nullptr;
    check(function(arguments..., &made));
    return made;
  }

 private:
  Library();
  void bind(void* open);
  static std::string build_of(void* open);
  void check_types() const;

  std::string build_;
  std::string version_;
  Functions functions_{};
};

/// A handle that is released by a function of the library.
template <void (*Functions::*Release)(Handle)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) (Library::get().functions().*Release)(handle_);
  }
  Handle get() const noexcept { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using Model = Owned<&Functions::model_free>;
using Compiled = Owned<&Functions::compiled_model_free>;
using Request = Owned<&Functions::infer_request_free>;
using Tensor = Owned<&Functions::tensor_free>;
using PortHandle = Owned<&Functions::output_const_port_free>;

}  // namespace tutti::worker::ov
