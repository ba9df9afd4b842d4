// Makes probabilities of logits without LibTorch, for members that do not use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <tutti/tensor.hpp>

#include "common/values.hpp"

namespace tutti::worker {

/// The softmax, in place, over `classes` values: the first, and those `step` apart after it. In float32.
void softmax(float* first, std::size_t classes, std::size_t step);

/// The same for predictions of these sizes, one after another, with the classes along `axis` (common/axis.hpp); or the
/// sigmoid of each value. Throws Error(usage) if the predictions have no such axis.
void activate(Activation activation, const Dims& prediction, std::int32_t axis, std::span<float> values);

}  // namespace tutti::worker
