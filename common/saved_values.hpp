// Values of files that become float32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "common/half.hpp"
#include "common/values.hpp"

namespace tutti {

/// The types of values that NumPy saves, with ml_dtypes for bfloat16, and a prediction may have.
enum class SavedType : std::uint8_t { float16, float32, float64, bfloat16 };

constexpr auto enum_names(SavedType) {
  return std::array{EnumName{SavedType::float16, "float16"}, EnumName{SavedType::float32, "float32"},
                    EnumName{SavedType::float64, "float64"}, EnumName{SavedType::bfloat16, "bfloat16"}};
}

/// Bytes per value.
constexpr std::size_t size_of(SavedType type) noexcept {
  switch (type) {
    case SavedType::float16:
    case SavedType::bfloat16:
      return 2;
    case SavedType::float32:
      break;
    case SavedType::float64:
      return 8;
  }
  return 4;
}

/// Calls use(i, value) for each of the values in `bytes`, which need not be aligned.
template <class Value, class Use>
void for_each_value(std::span<const std::byte> bytes, Use use) {
  for (std::size_t i = 0; i < bytes.size() / sizeof(Value); ++i) {
    Value value;
    std::memcpy(&value, &bytes[i * sizeof value], sizeof value);
    use(i, value);
  }
}

/// As many values of `type` as `to` has. float64 is rounded, and infinite where float32 cannot hold it.
inline void floats_of(SavedType type, std::span<const std::byte> from, std::span<float> to) {
  switch (type) {
    case SavedType::float16:
      return for_each_value<std::uint16_t>(from,
                                           [&](std::size_t i, std::uint16_t half) { to[i] = float_of_half(half); });
    case SavedType::bfloat16:
      return for_each_value<std::uint16_t>(from,
                                           [&](std::size_t i, std::uint16_t bits) { to[i] = float_of_bfloat(bits); });
    case SavedType::float64:
      return for_each_value<double>(from, [&](std::size_t i, double value) { to[i] = static_cast<float>(value); });
    case SavedType::float32:
      std::memcpy(to.data(), from.data(), to.size_bytes());
  }
}

}  // namespace tutti
