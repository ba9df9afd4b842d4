// Whether two strategies gave the same predictions: to the last bit, or within a stated tolerance. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "config/spec.hpp"

namespace tutti::bench {

/// What counts as agreement. The kernels of one strategy may sum in another order than those of another: float32
/// predictions then differ in their last digits. If a rule picks (vote, most_confident), such a difference may tip one
/// image.
struct Tolerance {
  double value = 0;          ///< largest difference of two values
  std::uint64_t tipped = 0;  ///< images that may differ by more
};
/// kTolerance (bench/protocol.hpp) for values up to 1; above, in proportion to the largest value of `reference`.
Tolerance tolerance_for(const config::CombineSpec& combine, std::span<const float> reference, std::uint64_t images);

struct Agreement {
  bool same_bits = false;
  double largest = 0;        ///< difference of two values; infinite if shapes differ or one is NaN
  std::uint64_t beyond = 0;  ///< images with a value that differs by more than the tolerance
  bool within = false;
};
/// Both hold images x width values.
Agreement compare(std::span<const float> reference, std::span<const float> answer, std::uint64_t images,
                  const Tolerance& tolerance);

/// "same bits", "differs by at most 3e-07 (tolerance 1e-05)".
std::string to_text(const Agreement& agreement, const Tolerance& tolerance);

}  // namespace tutti::bench
