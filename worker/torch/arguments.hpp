// Whether the tensors that a member takes are the arguments of its TorchScript module.
#pragma once

#include <vector>

#include <torch/csrc/jit/api/module.h>

#include "common/wire/member_request.hpp"

namespace tutti::worker {

/// Throws Error(usage) if the module of `path` has no argument of a name, has fewer arguments, or needs another one.
void check_arguments(const torch::jit::Module& module, const std::string& path, const std::vector<TakenTensor>& takes);

}  // namespace tutti::worker
