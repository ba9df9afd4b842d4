// The members `small-cnn` and `mlp`: they predict and train, and their weights are safetensors.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Throws Error(usage) if the network cannot take the images or the weights do not fit.
std::unique_ptr<Model> make_native_model(const MemberRequest& request);

}  // namespace tutti::worker
