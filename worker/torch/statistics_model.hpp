// A `torchscript` member that estimates the statistics of its BatchNorm layers from images only. Its weights do not
// change.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// For requests with Learns::statistics. train() adds one batch and ignores the labels; save() writes only the
/// statistics. It predicts like the module, with the statistics in its file, and is not optimised. Throws Error(usage)
/// like load_script_module(), and if no layer has statistics.
std::unique_ptr<Model> make_statistics_model(const MemberRequest& request);

}  // namespace tutti::worker
