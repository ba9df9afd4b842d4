// Finds what makes the predictions of a TorchScript module depend on chance, on the batch or on earlier calls. It looks
// at the operators and runs nothing, so it also finds what is never reached: it explains, but proves nothing.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>

namespace tutti::worker {

/// `module` is in evaluation mode, and not frozen. "it has aten::dropout in training mode, and draws random numbers
/// (aten::rand)"; empty if nothing is found.
std::string training_operators(const torch::jit::Module& module);

}  // namespace tutti::worker
