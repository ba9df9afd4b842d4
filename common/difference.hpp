// How far apart the outputs of two forms of one model are.
#pragma once

#include <span>

namespace tutti {

/// The largest difference between two outputs for the same samples, as a part of the largest number of the first.
/// Infinity if one has a NaN or an infinity where the other has another value. They are of the same length.
double difference_of(std::span<const float> first, std::span<const float> other);

}  // namespace tutti
