// ln and exp of float64 for results that are rounded to float32. A compiler vectorises loops over them, and they give
// the same bits on every CPU, because they are additions, multiplications and a division. Those of the C library call
// FMA on the CPUs that have it, and then some last bits differ. Not for results that stay float64.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace tutti {

/// The natural logarithm of a positive normal number, off by at most 1e-9 absolutely. What it gives for others is
/// meaningless and left to with_limits(), in a loop of its own: a compiler would branch around the computation.
inline double ln_of_normal(double x) {
  constexpr std::uint64_t kOne = std::bit_cast<std::uint64_t>(1.0);
  constexpr std::uint64_t kRootOfHalf = std::bit_cast<std::uint64_t>(0x1.6a09e667f3bcdp-1);
  constexpr int kMantissaBits = 52;
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  // x = 2^(biased - 1023) m with m from sqrt(1/2) to sqrt(2).
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t biased = (bits + (kOne - kRootOfHalf)) >> kMantissaBits;
  const double m = std::bit_cast<double>(bits - (biased << kMantissaBits) + kOne);
  // A whole number in the mantissa of 2^52 becomes float64 without a conversion, which SSE2 does not have.
  const double exponent = std::bit_cast<double>(biased | std::bit_cast<std::uint64_t>(0x1p52)) - (0x1p52 + 1023.0);
  // ln m = 2 artanh s = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| <= 0.1716; the first term left out is below 7e-10.
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double series = 1.0 / 9;
  series = series * z + 1.0 / 7;
  series = series * z + 1.0 / 5;
  series = series * z + 1.0 / 3;
  series = series * z + 1.0;
  return exponent * kLn2 + 2.0 * s * series;
}

/// The logarithm of any number that is not subnormal, from what ln_of_normal() gave.
inline double with_limits(double x, double ln) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double of_positive = x < kInfinity ? ln : x;
  const double of_others = x == 0 ? -kInfinity : std::numeric_limits<double>::quiet_NaN();
  return x > 0 ? of_positive : of_others;
}

/// Of larger exponents, exp() as float32 is infinity, and of their negatives 0.
constexpr double kMostExponent = 700.0;
/// exp(x) for |x| <= kMostExponent, off by at most 1e-9 relatively; NaN of NaN.
inline double exp_within(double x) {
  constexpr double kLog2OfE = 0x1.71547652b82fep0;
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  constexpr double kRound = 0x1.8p52;  // rounds to a whole number what it is added to
  constexpr int kMantissaBits = 52;
  // exp(x) = 2^k exp(r), |r| <= ln(2) / 2; the first term of the series that is left out is below 3e-10.
  const double shifted = x * kLog2OfE + kRound;
  const double r = x - (shifted - kRound) * kLn2;
  double series = 1.0 / 40320;
  series = series * r + 1.0 / 5040;
  series = series * r + 1.0 / 720;
  series = series * r + 1.0 / 120;
  series = series * r + 1.0 / 24;
  series = series * r + 1.0 / 6;
  series = series * r + 1.0 / 2;
  series = series * r + 1.0;
  series = series * r + 1.0;
  return series * std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << kMantissaBits);
}

}  // namespace tutti
