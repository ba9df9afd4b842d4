// The member `onnx`: any ONNX model, computed by ONNX Runtime on the CPU.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Throws Error(usage) if the file is not an ONNX model, or does not take what the member takes; Error(failed) if there
/// is no ONNX Runtime.
std::unique_ptr<Model> make_onnx_model(const MemberRequest& request);

}  // namespace tutti::worker
