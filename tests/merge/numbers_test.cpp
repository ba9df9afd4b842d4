// Tests of rounding to the shorter floating-point formats, over all their values.
#include "merge/numbers.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace tutti::merge {
namespace {

// A half by its definition.
double half_value(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const double fraction = half & 1023;
  const double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -size : size;
}

TEST_CASE("every half has its value and goes back to itself") {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_of_half(half);
    if ((bits & 0x7c00) == 0x7c00) {
      if ((bits & 0x3ff) == 0)
        REQUIRE(value == (bits & 0x8000 ? -1 : 1) * std::numeric_limits<float>::infinity());
      else
        REQUIRE(std::isnan(value));
      REQUIRE(std::isnan(float_of_half(half_of_float(value))) == std::isnan(value));
      continue;
    }
    REQUIRE(static_cast<double>(value) == half_value(half));
    REQUIRE(half_of_float(value) == half);
  }
}

TEST_CASE("a value between two halves goes to the nearer and from the middle to the even one") {
  for (unsigned bits = 0; bits < 0x7bff; ++bits) {
    const auto low = static_cast<std::uint16_t>(bits);
    const auto high = static_cast<std::uint16_t>(bits + 1);
    const double middle = (half_value(low) + half_value(high)) / 2;
    const auto exact = static_cast<float>(middle);
    REQUIRE(half_of_float(exact) == (bits % 2 == 0 ? low : high));
    REQUIRE(half_of_float(std::nextafter(exact, 0.0F)) == low);
    REQUIRE(half_of_float(std::nextafter(exact, 1e9F)) == high);
    REQUIRE(half_of_float(-std::nextafter(exact, 1e9F)) == (high | 0x8000));
    // From float64 too, where rounding to float32 in between would make it the middle.
    REQUIRE(half_of_float(odd_float_of(std::nextafter(middle, 0.0))) == low);
    REQUIRE(half_of_float(odd_float_of(std::nextafter(middle, 1e9))) == high);
  }
  CHECK(half_of_float(65519.99F) == 0x7bff);
  CHECK(half_of_float(65520) == 0x7c00);
  CHECK(half_of_float(-1e30F) == 0xfc00);
}

TEST_CASE("every bfloat has its value and goes back to itself and is rounded to even") {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto value = static_cast<std::uint16_t>(bits);
    const float number = float_of_bfloat(value);
    if (std::isnan(number)) {
      REQUIRE(std::isnan(float_of_bfloat(bfloat_of_float(number))));
      continue;
    }
    REQUIRE(bfloat_of_float(number) == value);
    if ((bits & 0x7fff) >= 0x7f80) continue;
    const float middle = std::bit_cast<float>(bits << 16 | 0x8000U);
    const auto next = static_cast<std::uint16_t>(bits + 1);
    REQUIRE(bfloat_of_float(middle) == (bits % 2 == 0 ? value : next));
    REQUIRE(bfloat_of_float(std::bit_cast<float>(bits << 16 | 0x7fffU)) == value);
    REQUIRE(bfloat_of_float(std::bit_cast<float>(bits << 16 | 0x8001U)) == next);
  }
}

TEST_CASE("float64 is rounded to odd if something is lost") {
  CHECK(odd_float_of(1.5) == 1.5F);
  CHECK(odd_float_of(1 + 0x1p-40) == 1 + 0x1p-23F);
  CHECK(odd_float_of(1 - 0x1p-40) == 1 - 0x1p-24F);
  CHECK(odd_float_of(-1 - 0x1p-40) == -1 - 0x1p-23F);
  CHECK(odd_float_of(1e-60) == std::numeric_limits<float>::denorm_min());
  CHECK(odd_float_of(1e300) == std::numeric_limits<float>::max());
  CHECK(std::isinf(odd_float_of(std::numeric_limits<double>::infinity())));
  CHECK(std::isnan(odd_float_of(std::nan(""))));
}

}  // namespace
}  // namespace tutti::merge
