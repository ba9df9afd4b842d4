// The member `torchscript`: any module that torch.jit saved. It answers; it does not learn.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Throws Error(usage) where the file is missing, is no TorchScript, or cannot be optimised while that is asked for.
/// A module is a program: load only those that you trust.
std::unique_ptr<Model> make_script_model(const MemberRequest& request);

}  // namespace tutti::worker
