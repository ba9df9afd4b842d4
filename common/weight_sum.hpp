// The sum of weights by which a rule or a merge divides. Weights such as 0.1, 0.2 and -0.3 cancel: what is left of
// their sum is a rounding error, and dividing by it gives infinity or noise.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace tutti {

struct WeightSum {
  double total = 0;      ///< added in the type that the caller computes with
  bool divides = false;  ///< finite, and more than the rounding errors of the weights and of their sum
};

/// Adds `weights` in `Sum`, in their order, as the accumulator and the merge do. The bound is relative to the sum of
/// the magnitudes: each of the n weights and each of the n additions is off by at most half an epsilon of that.
template <class Sum, class Weight>
WeightSum weight_sum(const std::vector<Weight>& weights) {
  Sum total{0};
  double magnitude = 0;
  for (const Weight weight : weights) {
    total += static_cast<Sum>(weight);
    magnitude += std::fabs(static_cast<double>(weight));
  }
  const double epsilon =
      std::max(double{std::numeric_limits<Sum>::epsilon()}, double{std::numeric_limits<Weight>::epsilon()});
  const double noise = static_cast<double>(weights.size()) * epsilon * magnitude;
  return {static_cast<double>(total), std::isfinite(total) && std::fabs(static_cast<double>(total)) > noise};
}

/// The same in float64 or float32, as `accumulate` says.
template <class Weight>
WeightSum weight_sum(const std::vector<Weight>& weights, bool accumulate_f64) {
  return accumulate_f64 ? weight_sum<double>(weights) : weight_sum<float>(weights);
}

}  // namespace tutti
