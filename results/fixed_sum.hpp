// A sum of small numbers that does not depend on their order, nor on how they are grouped: losses, probabilities and
// entropies, added image by image or merged segment by segment, give the same bits.
#pragma once

#include <cstdint>

#include "results/segment_sums.hpp"

namespace tutti::images {

/// The terms are rounded to multiples of 2^-80 and added as whole numbers of 128 bits, which is exact. For terms from
/// 2^-27 on nothing is rounded at all. Terms that are not small (kLargest and more, infinities, NaN) are added as
/// float64, in the order of the calls. A value; one thread.
class FixedSum {
 public:
  /// So many of this size that an overflow would take 2^41 terms.
  static constexpr double kLargest = 64.0;

  void add(double term);
  /// The sum of other terms.
  void add(const FixedSum& sum);
  double value() const;

  void write(SumWriter& out) const;
  /// Replaces the sum by one that was written. Throws SumMisfit.
  void read(SumReader& in);

 private:
  // high_ * 2^-16 + low_ * 2^-80
  std::int64_t high_ = 0;
  std::uint64_t low_ = 0;
  double others_ = 0.0;  // terms that are not small
};

}  // namespace tutti::images
