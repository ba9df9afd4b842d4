// Floating-point values of checkpoints as float32 or float64 and back. Rounds to nearest, ties to even, as PyTorch
// does. Header-only, so that the compiler can vectorise the loops over chunks.
#pragma once

#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "merge/safetensors.hpp"

namespace tutti::merge {

constexpr bool is_floating(Dtype dtype) {
  return dtype == Dtype::f64 || dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16;
}

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

/// A float32 that rounds to a shorter format exactly as the float64 itself would: it is rounded towards zero, and if
/// something is lost the last bit is set ("round to odd"). Rounding to nearest twice would not give the nearest.
inline float odd_float_of(double value) {
  const float rounded = static_cast<float>(value);
  if (static_cast<double>(rounded) == value || !std::isfinite(value)) return rounded;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(rounded);
  if (std::fabs(static_cast<double>(rounded)) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}
inline float odd_float_of(float value) { return value; }

namespace detail {

template <class From, class To, class Convert>
void convert(const std::byte* from, std::size_t count, To* to, Convert convert_one) {
  for (std::size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, from + i * sizeof value, sizeof value);
    to[i] = static_cast<To>(convert_one(value));
  }
}

}  // namespace detail

/// The values of `bytes`, whose dtype is floating.
template <class Real>
void decode(Dtype dtype, std::span<const std::byte> bytes, std::span<Real> out) {
  assert(is_floating(dtype) && bytes.size() == out.size() * size_of(dtype));
  const auto same = [](auto value) { return value; };
  if (dtype == Dtype::f64) detail::convert<double>(bytes.data(), out.size(), out.data(), same);
  if (dtype == Dtype::f32) detail::convert<float>(bytes.data(), out.size(), out.data(), same);
  if (dtype == Dtype::f16) detail::convert<std::uint16_t>(bytes.data(), out.size(), out.data(), float_of_half);
  if (dtype == Dtype::bf16) detail::convert<std::uint16_t>(bytes.data(), out.size(), out.data(), float_of_bfloat);
}

/// The bytes of `values`, rounded.
template <class Real>
void encode(Dtype dtype, std::span<const Real> values, std::span<std::byte> out) {
  assert(is_floating(dtype) && out.size() == values.size() * size_of(dtype));
  const auto put = [&](auto convert_one) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = convert_one(values[i]);
      std::memcpy(out.data() + i * sizeof value, &value, sizeof value);
    }
  };
  if (dtype == Dtype::f64) put([](Real value) { return static_cast<double>(value); });
  if (dtype == Dtype::f32) put([](Real value) { return static_cast<float>(value); });
  if (dtype == Dtype::f16) put([](Real value) { return half_of_float(odd_float_of(value)); });
  if (dtype == Dtype::bf16) put([](Real value) { return bfloat_of_float(odd_float_of(value)); });
}

}  // namespace tutti::merge
