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

#include "common/half.hpp"
#include "merge/safetensors.hpp"

namespace tutti::merge {

constexpr bool is_floating(Dtype dtype) {
  return dtype == Dtype::f64 || dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16;
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
