#include "worker/activation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <tutti/error.hpp>

#include "common/axis.hpp"

namespace tutti::worker {

void softmax(float* first, std::size_t classes, std::size_t step) {
  const std::size_t end = classes * step;
  float top = first[0];
  for (std::size_t i = 0; i < end; i += step) top = std::max(top, first[i]);
  float sum = 0;
  for (std::size_t i = 0; i < end; i += step) sum += first[i] = std::exp(first[i] - top);
  for (std::size_t i = 0; i < end; i += step) first[i] /= sum;
}

void activate(Activation activation, const Dims& prediction, std::int32_t axis, std::span<float> values) {
  if (activation == Activation::none) return;
  if (activation == Activation::sigmoid) {
    for (float& value : values) value = 1 / (1 + std::exp(-value));
    return;
  }
  const auto at = size_at(prediction, axis);
  if (!at)
    throw Error(ErrorKind::usage, fmt::format("there is no axis {} with classes", axis),
                fmt::format("the predictions are {}", dims_text(prediction)),
                "set 'axis' of 'combine' to where the classes are: 1 is the first axis after the sample, -1 the last");
  std::size_t inner = 1;
  for (std::size_t size = *at + 1; size < prediction.size(); ++size) inner *= prediction[size];
  const std::size_t block = prediction[*at] * inner;
  for (std::size_t first = 0; first < values.size(); first += block)
    for (std::size_t place = 0; place < inner; ++place) softmax(&values[first + place], prediction[*at], inner);
}

}  // namespace tutti::worker
