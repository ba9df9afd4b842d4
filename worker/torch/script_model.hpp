// The member `torchscript`: any module that torch.jit saved. It predicts; only the statistics of its BatchNorm layers
// can be trained (statistics_model.hpp).
#pragma once

#include <memory>
#include <string>

#include "worker/model.hpp"

namespace tutti::worker {

/// Throws Error(usage) like load_script_module(), and if the module cannot be optimised but the request asks for it.
/// A module is a program: load only those that you trust.
std::unique_ptr<Model> make_script_model(const MemberRequest& request);

/// What the user hears about the time that optimising took; nothing if it was short.
std::string note_on_optimising(double seconds);

}  // namespace tutti::worker
