// Single values of tensors of any type, as float32. For what happens once or a few times per sample; loops over whole
// tensors know their type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <tutti/tensor.hpp>

#include "common/half.hpp"
#include "common/random.hpp"

namespace tutti {

/// Whether the values are whole numbers, or truths.
constexpr bool is_whole(Dtype dtype) {
  return dtype != Dtype::float32 && dtype != Dtype::float16 && dtype != Dtype::bfloat16;
}

namespace detail {

template <class Value>
Value loaded(const std::byte* from) {
  Value value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class Value>
void store(std::byte* to, Value value) {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace detail

/// The value at `from`, which need not be aligned; whole numbers beyond 2^24 are rounded.
inline float read_value(const std::byte* from, Dtype dtype) {
  switch (dtype) {
    case Dtype::float32:
      return detail::loaded<float>(from);
    case Dtype::float16:
      return float_of_half(detail::loaded<std::uint16_t>(from));
    case Dtype::bfloat16:
      return float_of_bfloat(detail::loaded<std::uint16_t>(from));
    case Dtype::int32:
      return static_cast<float>(detail::loaded<std::int32_t>(from));
    case Dtype::int64:
      return static_cast<float>(detail::loaded<std::int64_t>(from));
    case Dtype::uint8:
    case Dtype::boolean:
      break;
  }
  return static_cast<float>(detail::loaded<std::uint8_t>(from));
}

/// Puts `value`, which the type can hold, to `to`, which need not be aligned.
inline void write_value(std::byte* to, Dtype dtype, float value) {
  switch (dtype) {
    case Dtype::float32:
      return detail::store(to, value);
    case Dtype::float16:
      return detail::store(to, half_of_float(value));
    case Dtype::bfloat16:
      return detail::store(to, bfloat_of_float(value));
    case Dtype::int32:
      return detail::store(to, static_cast<std::int32_t>(value));
    case Dtype::int64:
      return detail::store(to, static_cast<std::int64_t>(value));
    case Dtype::uint8:
    case Dtype::boolean:
      return detail::store(to, static_cast<std::uint8_t>(value));
  }
}

/// A value for samples that are made up, which depends on `seed` and `index` alone: 0 to 1 of a float, any byte, and 0
/// or 1 as a whole number, which stands for a class, a word or a truth in every model that takes such.
inline float made_up_value(Dtype dtype, std::uint64_t seed, std::uint64_t index) {
  const std::uint64_t drawn = random_at(seed, index);
  if (!is_whole(dtype)) return unit_float(drawn);
  return static_cast<float>(dtype == Dtype::uint8 ? drawn >> 56 : drawn % 2);
}

}  // namespace tutti
