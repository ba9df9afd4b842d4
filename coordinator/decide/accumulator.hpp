// Applies the combine rule to the members' outputs, in rank order. Pure arithmetic on spans: the same bytes in give
// the same bytes out, in whatever order the outputs arrived, on every CPU.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/spec.hpp"
#include "coordinator/decide/class_axis.hpp"

namespace tutti {

/// Combines predictions of any shape. For a value, with x_m that of member m, w_m the member's weight, and sums over m
/// in rank order, in the accumulator's type (float32, or float64 on request):
///
///   mean            (sum x_m) / N
///   sum             sum x_m
///   weighted        sum w_m x_m, divided by sum w_m if normalised
///   max             max x_m
///   median          the middle of the sorted x_m; the mean of the two middle ones if N is even; NaN if any is NaN
///   none            nothing: each member's output is the result
///
/// These rules compare the values along the axis of the classes, at each position by itself:
///
///   most_confident  the values of the member whose largest value is the largest of all; of equal ones, the lowest rank
///   vote            the share of the weights whose members predict class c; the largest share wins, among equal shares
///                   the larger sum of w_m x_m, then the lower class
///   geometric_mean  exp((sum ln x_m) / N), normalised to a sum of 1 over the classes (the logarithmic opinion pool:
///                   Genest and Zidek, "Combining probability distributions", Statistical Science 1986); 0 if any is 0.
///                   Always in float64 (docs/decisions/0016-own-logarithm.md). If several labels may be right, each
///                   is normalised with its opposite: g / (g + h), where h is the same of 1 - x_m; 0 if any x_m is 0
///
/// Except for the vote, the predicted class is the one with the largest value; of equal ones, the lowest.
///
/// If only n of the N members are present, the sums, N and the weights are those of the members present, in rank
/// order. The rules that do not divide by them are scaled, so that their values stay comparable with those of segments
/// that have all members:
///
///   sum                        (sum x_m) (N / n)
///   weighted, not normalised   (sum w_m x_m) (W / V), W the sum of all |w_m|, V that of those present
class Accumulator {
 public:
  using Members = std::span<const std::span<const float>>;

  /// `weights` in rank order. With `on_nan: allow`, values need not be finite.
  Accumulator(const config::CombineSpec& spec, std::vector<float> weights, OnNan on_nan = OnNan::error);

  struct Result {
    std::vector<float> values;            ///< count x the values of a prediction; empty with `none`
    std::vector<std::int64_t> predicted;  ///< count x outer x inner; empty if the spec does not decide
    std::vector<float> spread{};          ///< as spread.hpp says, if the spec asks for it
  };
  /// `members[m]` holds the values of `count` predictions, whose classes are along `axis`. Any thread.
  Result combine(Members members, std::uint32_t count, const ClassAxis& axis) const;
  /// The same over the members with `present[m]`, at least one; the values of the others are not read. With all present
  /// the bytes are the same as without `present`. Throws Error(failed) if the rule divides by the
  /// weights, and the weights that are left sum to 0.
  Result combine(Members members, const std::vector<bool>& present, std::uint32_t count, const ClassAxis& axis) const;
  /// The same into `result`, in the memory that it has. New memory for a large result costs more than the arithmetic.
  void combine(Members members, const std::vector<bool>& present, std::uint32_t count, const ClassAxis& axis,
               Result& result) const;

  /// Throws as combine() does if those with `present[m]`, at least one, cannot be combined whatever they predict.
  void check_present(const std::vector<bool>& present) const;

  /// Finite values can overflow when they are combined. Throws Error(failed) if one of `values`, `width` per image, is
  /// not finite, and names its image: `first` is the number of the first. With `on_nan: allow` it does not.
  void check_finite(std::span<const float> values, std::uint64_t width, std::uint64_t first) const;

  /// The same of a spread: check_finite_spread() of spread.hpp, except with `on_nan: allow`.
  void check_finite_spread(std::span<const float> spread, std::uint64_t width, std::uint64_t first) const;

  /// The result for images without an output: values and a spread that are NaN, the predicted class -1.
  Result nothing(std::uint32_t count, const ClassAxis& axis) const;
  void nothing(std::uint32_t count, const ClassAxis& axis, Result& result) const;

 private:
  /// The members that are combined, and what makes up for those that are not.
  struct Chosen;
  Chosen choose(Members members, const std::vector<bool>& present) const;
  std::vector<float> weights_of(const std::vector<bool>& present) const;
  double checked_scale(const std::vector<float>& weights, const std::vector<bool>& present) const;
  void apply(const Chosen& chosen, std::uint32_t count, const ClassAxis& axis, Result& result) const;
  template <class Sum>
  void vote(const Chosen& chosen, std::uint32_t count, const ClassAxis& axis, Result& result) const;

  config::CombineSpec spec_;
  std::vector<float> weights_;
  OnNan on_nan_;
};

}  // namespace tutti
