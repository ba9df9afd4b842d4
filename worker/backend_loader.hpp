// Finds the backend of a member and makes its model. The only place that opens plugins: the worker itself links neither
// LibTorch nor CUDA, so it starts in milliseconds, and can report a library that cannot be loaded.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "worker/model.hpp"

namespace tutti::worker {

struct LoadedModel {
  std::unique_ptr<Model> model;
  std::string backend;  ///< "fake", "torch 2.11.0"
};

/// What to do about a library that cannot be opened, for this `reason` of dlerror().
std::string library_hint(std::string_view reason);

/// Makes the model of a member, behind its views if it has some. Throws Error(failed) if the plugin is missing, cannot
/// be opened or is of another build, and what the backend throws. Plugins stay loaded until the process ends.
LoadedModel load_model(const MemberRequest& request);

/// The same of members of one unit as one model, whose prediction is {members, classes}. Throws Error(usage) if their
/// backend cannot fuse them.
LoadedModel load_fused(std::span<const MemberRequest> requests);

/// This process is a Python interpreter: load_model() makes members of kind `python` with this function, which throws
/// as load_model() does. Called once, before the worker begins.
using PythonModels = LoadedModel (*)(const MemberRequest& request);
void host_python_models(PythonModels make);

/// Opens the libraries that load_model() needs for a LibTorch member, on the CPU or on CUDA, before the member is
/// known. Touches no device. Throws like load_model().
void preload_backend(bool cuda);

}  // namespace tutti::worker
