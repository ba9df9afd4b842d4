// Values of files that become float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "common/half.hpp"

namespace tutti {

/// Calls use(i, value) for each of the values in `bytes`, which need not be aligned.
template <class Value, class Use>
void for_each_value(std::span<const std::byte> bytes, Use use) {
  for (std::size_t i = 0; i < bytes.size() / sizeof(Value); ++i) {
    Value value;
    std::memcpy(&value, &bytes[i * sizeof value], sizeof value);
    use(i, value);
  }
}

/// As many values of float16 as `to` has.
inline void floats_of_halves(std::span<const std::byte> from, std::span<float> to) {
  for_each_value<std::uint16_t>(from, [&](std::size_t i, std::uint16_t half) { to[i] = float_of_half(half); });
}
/// The same of float64: rounded, and infinite where float32 cannot hold them.
inline void floats_of_doubles(std::span<const std::byte> from, std::span<float> to) {
  for_each_value<double>(from, [&](std::size_t i, double value) { to[i] = static_cast<float>(value); });
}

}  // namespace tutti
