// How far the members' predictions are apart. Pure arithmetic; what it means for a decision is not judged here.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <tutti/tensor.hpp>

#include "common/values.hpp"
#include "config/spec.hpp"
#include "coordinator/decide/class_axis.hpp"

namespace tutti {

enum class Spread : std::uint8_t {
  variance,  ///< per value: the population variance, sum (x_m - mean)^2 / n, over the members
  entropy,   ///< per decision: the entropy, - sum p ln p over the classes, of the mean p of the members' probabilities
};

constexpr auto enum_names(Spread) {
  return std::array{EnumName{Spread::variance, "variance"}, EnumName{Spread::entropy, "entropy"}};
}

/// What `spread: true` means for this combination: the entropy of probabilities of which one class is right, otherwise
/// the variance.
Spread spread_of(const config::CombineSpec& combine);

/// The sizes of the spread of one prediction of these sizes: the same, or without the axis of the classes, which
/// exists.
Dims spread_shape(const config::CombineSpec& combine, const Dims& prediction);

/// Sets `result` to the spread of `count` predictions over the n members with `present[m]`, at least one: as many
/// numbers as values for the variance, as decisions for the entropy. `members[m]` holds the values; those of members
/// that are not present are not read. Sums are float64, over the members in rank order. Any thread.
void spread(Spread kind, std::span<const std::span<const float>> members, const std::vector<bool>& present,
            std::uint32_t count, const ClassAxis& axis, std::vector<float>& result);

/// Throws Error(failed) if one of these numbers, `width` per image, is not finite, and names its image: `first` is the
/// number of the first.
void check_finite_spread(std::span<const float> spread, std::uint64_t width, std::uint64_t first);

}  // namespace tutti
