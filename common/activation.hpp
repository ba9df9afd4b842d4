// How logits become probabilities, for code without LibTorch. In float32, in place.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace tutti {

/// Over the classes at each place: `values` holds blocks of `classes` x `inner` values. A class with the logit
/// -infinity gets 0; a NaN makes its place NaN.
inline void softmax(std::span<float> values, std::size_t classes, std::size_t inner) {
  for (std::size_t block = 0; block + classes * inner <= values.size(); block += classes * inner)
    for (std::size_t place = 0; place < inner; ++place) {
      float* const first = &values[block + place];
      float top = first[0];
      for (std::size_t c = 1; c < classes; ++c) top = std::max(top, first[c * inner]);
      float sum = 0;
      for (std::size_t c = 0; c < classes; ++c) sum += first[c * inner] = std::exp(first[c * inner] - top);
      for (std::size_t c = 0; c < classes; ++c) first[c * inner] /= sum;
    }
}

/// Of each value by itself.
inline void sigmoid(std::span<float> values) {
  for (float& value : values) value = 1 / (1 + std::exp(-value));
}

}  // namespace tutti
