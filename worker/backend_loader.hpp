// Finds the backend of a member and makes its model. The only place that opens plugins: the worker itself links
// neither LibTorch nor CUDA, so it starts in milliseconds, and a library that cannot be loaded is a message.
#pragma once

#include <memory>
#include <string>

#include "worker/model.hpp"

namespace tutti::worker {

struct LoadedModel {
  std::unique_ptr<Model> model;
  std::string backend;  ///< "fake", "torch 2.11.0"
};

/// Throws Error(failed) if the plugin is missing, cannot be opened or is of another build, and whatever the backend
/// throws. Plugins stay loaded until the process ends.
LoadedModel load_model(const MemberRequest& request);

/// Opens what load_model() will need for a member of LibTorch, on the CPU or on CUDA, so that this time is spent before
/// the member is known. No device is touched. Throws as load_model() does.
void preload_backend(bool cuda);

}  // namespace tutti::worker
