// A `torchscript` member that learns the statistics of its BatchNorm layers from images alone. Its weights stay.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// For requests with Learns::statistics. train() adds one batch and looks at no labels; save() writes the statistics
/// and nothing else. It answers as the module does, with the statistics that it came with, and is not optimised. Throws
/// Error(usage) as load_script_module() says, and if no layer has statistics.
std::unique_ptr<Model> make_statistics_model(const MemberRequest& request);

}  // namespace tutti::worker
