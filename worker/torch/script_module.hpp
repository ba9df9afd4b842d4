// Loads a TorchScript file as a module, with its own weights or with those of a safetensors file.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include "common/wire/member_request.hpp"
#include "worker/torch/weights.hpp"

namespace tutti::worker {

/// Loads the module of a `torchscript` member in evaluation mode, not frozen, and, if the request names weights,
/// copies the file's values into its parameters and buffers. Throws Error(usage) if a file is missing, is not
/// TorchScript, does not have the arguments that the member gives it, or if the two do not fit: the error names every tensor that is missing, unknown, of another shape or
/// type.
torch::jit::Module load_script_module(const MemberRequest& request, at::Device device);

/// All parameters and buffers, under their names in the state dict ("layer1.0.bn1.running_mean"). They share the
/// module's memory.
NamedTensors state_of(const torch::jit::Module& module);

}  // namespace tutti::worker
