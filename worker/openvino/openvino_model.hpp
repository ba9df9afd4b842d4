// The member `openvino`: a model of any format that OpenVINO reads, computed by it on the CPU.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Throws Error(usage) if OpenVINO does not read the file, or the model does not take what the member takes;
/// Error(failed) if there is no OpenVINO.
std::unique_ptr<Model> make_openvino_model(const MemberRequest& request);

}  // namespace tutti::worker
