// What coordinator/decide/accumulator.hpp promises, one value and one position at a time, as plainly as possible. It
// shares no code with the accumulator, and is to be compared with it.
#pragma once

#include <cstdint>
#include <vector>

#include "config/spec.hpp"
#include "coordinator/decide/accumulator.hpp"

namespace tutti::test {

/// The values of each member.
using Rows = std::vector<std::vector<float>>;

/// `members` predict `count` samples each; those without `present` are left out.
Accumulator::Result combined_naively(const config::CombineSpec& spec, const std::vector<float>& weights,
                                     const Rows& members, const std::vector<bool>& present, std::uint32_t count,
                                     const ClassAxis& axis);

/// The entropy of the mean probabilities at each position.
std::vector<float> entropies_naively(const Rows& members, std::uint32_t count, const ClassAxis& axis);
/// The population variance of each value.
std::vector<float> variances_naively(const Rows& members);

}  // namespace tutti::test
