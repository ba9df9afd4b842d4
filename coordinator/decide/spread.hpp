// How far the members' predictions are apart. Pure arithmetic; what it means for a decision is not judged here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "coordinator/decide/class_axis.hpp"

namespace tutti {

enum class Spread : std::uint8_t {
  variance,  ///< per value: the population variance, sum (x_m - mean)^2 / n, over the members
  entropy,   ///< per decision: the entropy, - sum p ln p over the classes, of the mean p of the members' probabilities
};

/// Sets `result` to the spread of `count` predictions over the n members with `present[m]`, at least one: as many
/// numbers as values for the variance, as decisions for the entropy. `members[m]` holds the values; those of members
/// that are not present are not read. Sums are float64, over the members in rank order. Any thread.
void spread(Spread kind, std::span<const std::span<const float>> members, const std::vector<bool>& present,
            std::uint32_t count, const ClassAxis& axis, std::vector<float>& result);

}  // namespace tutti
