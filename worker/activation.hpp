// Makes probabilities of logits without LibTorch, for members that do not use it.
#pragma once

#include <cstdint>
#include <span>

#include <tutti/tensor.hpp>

#include "common/values.hpp"

namespace tutti::worker {

/// The softmax of predictions of these sizes, one after another, with the classes along `axis` (common/axis.hpp); or
/// the sigmoid of each value; in place. Throws Error(usage) if the predictions have no such axis.
void activate(Activation activation, const Dims& prediction, std::int32_t axis, std::span<float> values);

}  // namespace tutti::worker
