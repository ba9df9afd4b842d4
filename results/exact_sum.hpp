// A sum that does not depend on the order of its terms, nor on how they are grouped: losses and errors, added image by
// image or merged segment by segment, give the same bits.
#pragma once

#include <array>
#include <cstdint>

#include "results/segment_sums.hpp"

namespace tutti::images {

/// Each term is cut into digits of 32 bits at fixed places, and the digits of each place are added as whole numbers,
/// which is exact. Only the three highest places of which a term has a digit are kept: what is left out is below 2^-64
/// of the largest term for each term, and the same in every order. The idea, with floating-point numbers as the digits,
/// is that of J. Demmel and H. D. Nguyen, "Parallel Reproducible Summation", IEEE Transactions on Computers, 2015. Up
/// to 2^31 terms. A NaN, or infinities of both signs, make the sum NaN. A value; one thread.
class ExactSum {
 public:
  void add(double term);
  /// The sum of other terms.
  void add(const ExactSum& sum);
  double value() const;

  void write(SumWriter& out) const;
  /// Replaces the sum by one that was written. Throws SumMisfit.
  void read(SumReader& in);

 private:
  static constexpr std::size_t kPlaces = 3;

  void raise(std::int16_t place);

  std::array<std::int64_t, kPlaces> digits_{};  ///< digits_[i] * 2^(32 * (top_ - i))
  std::int16_t top_ = 0;
  std::uint8_t special_ = 0;  ///< which terms were not finite
  bool empty_ = true;         ///< no digits
};
static_assert(sizeof(ExactSum) == 32, "there is one for every output that is a number");

}  // namespace tutti::images
