#include "worker/activation.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/activation.hpp"
#include "common/axis.hpp"

namespace tutti::worker {

void activate(Activation activation, const Dims& prediction, std::int32_t axis, std::span<float> values) {
  if (activation == Activation::none) return;
  if (activation == Activation::sigmoid) {
    sigmoid(values);
    return;
  }
  const auto at = size_at(prediction, axis);
  if (!at)
    throw Error(ErrorKind::usage, fmt::format("there is no axis {} with classes", axis),
                fmt::format("the predictions are {}", dims_text(prediction)),
                "set 'axis' of 'combine' to where the classes are: 1 is the first axis after the sample, -1 the last");
  std::size_t inner = 1;
  for (std::size_t size = *at + 1; size < prediction.size(); ++size) inner *= prediction[size];
  softmax(values, prediction[*at], inner);
}

}  // namespace tutti::worker
