// float16 and bfloat16, as their bits, to float32 and back. Rounds to nearest, ties to even, as PyTorch does.
// Header-only, so that the compiler can vectorise loops over them.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace tutti {

inline float float_of_half(std::uint16_t half) {
  // A multiplication moves the exponent, which also turns subnormal numbers into normal ones.
  const float scaled = std::bit_cast<float>(std::uint32_t{half & 0x7fffU} << 13) * 0x1p112F;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(scaled);
  if ((half & 0x7c00U) == 0x7c00U) bits |= 0x7f800000U;
  return std::bit_cast<float>(bits | std::uint32_t{half & 0x8000U} << 16);
}

inline float float_of_bfloat(std::uint16_t value) { return std::bit_cast<float>(std::uint32_t{value} << 16); }

inline std::uint16_t half_of_float(float value) {
  constexpr std::uint32_t kInfinite = 0x7f800000U;
  constexpr std::uint32_t kTooLarge = (127U + 16U) << 23;  // 65536; from 65520 on the rounding carries into infinity
  constexpr std::uint32_t kNormal = 113U << 23;            // 2^-14
  constexpr float kShift = 0.5F;                           // its last bit is 2^-24, as in a subnormal half
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits & 0x80000000U;
  bits ^= sign;
  std::uint32_t half;
  if (bits >= kTooLarge) {
    half = bits > kInfinite ? 0x7e00U : 0x7c00U;
  } else if (bits < kNormal) {
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(bits) + kShift) - std::bit_cast<std::uint32_t>(kShift);
  } else {
    const std::uint32_t odd = bits >> 13 & 1U;
    half = (bits - (112U << 23) + 0xfffU + odd) >> 13;
  }
  return static_cast<std::uint16_t>(half | sign >> 16);
}

inline std::uint16_t bfloat_of_float(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace tutti
