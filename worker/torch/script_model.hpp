// The member `torchscript`: any module that torch.jit saved. It answers, and learns nothing but the statistics of its
// BatchNorm layers (statistics_model.hpp).
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Throws Error(usage) as load_script_module() says, and if the module cannot be optimised while that is asked for.
/// A module is a program: load only those that you trust.
std::unique_ptr<Model> make_script_model(const MemberRequest& request);

}  // namespace tutti::worker
