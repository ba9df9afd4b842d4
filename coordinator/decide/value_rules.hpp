// The combine rules that look at one value of each member at a time. Which class the values decide for, and rules that
// compare classes, are in class_rules.hpp.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "config/spec.hpp"

namespace tutti {

/// The members' predictions in rank order.
using Answers = std::span<const std::span<const float>>;

/// mean, sum, weighted, max, median or geometric_mean (without its normalisation, except for several labels), as
/// accumulator.hpp defines them. One thread.
class ValueRule {
 public:
  /// `members` and `weights`, of the members present, must outlive this. `scale` makes up for those missing.
  ValueRule(const config::CombineSpec& spec, Answers members, std::span<const float> weights, double scale)
      : spec_(spec), members_(members), weights_(weights), scale_(scale) {}

  /// Writes a run of values, the first of which is value `first` of the prediction.
  void write(std::size_t first, std::span<float> run);

 private:
  template <class Sum>
  void write_in(std::size_t first, std::span<float> run);

  const config::CombineSpec& spec_;
  Answers members_;
  std::span<const float> weights_;
  double scale_;
  std::vector<float> columns_;  ///< of the median
};

}  // namespace tutti
