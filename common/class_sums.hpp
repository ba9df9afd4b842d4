// Probabilities of classes of which one is right sum to 1. What sums to something else is likely to be something else.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace tutti {

/// How far such a sum may be from 1: those of float16 are not exact.
inline constexpr double kSumTolerance = 0.02;

/// Over the classes at each place: `values` holds blocks of `classes` x `inner` values. Calls use(sum, block) for each,
/// where `block` is the place of the first value of the block.
template <class Use>
void for_each_class_sum(std::span<const float> values, std::size_t classes, std::size_t inner, Use use) {
  for (std::size_t block = 0; block + classes * inner <= values.size(); block += classes * inner)
    for (std::size_t place = 0; place < inner; ++place) {
      double sum = 0;
      for (std::size_t c = 0; c < classes; ++c) sum += static_cast<double>(values[block + place + c * inner]);
      use(sum, block);
    }
}

}  // namespace tutti
