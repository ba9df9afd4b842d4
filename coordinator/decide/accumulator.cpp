#include "coordinator/decide/accumulator.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/not_finite.hpp"
#include "common/weight_sum.hpp"
#include "coordinator/decide/class_rules.hpp"
#include "coordinator/decide/spread.hpp"
#include "coordinator/decide/value_rules.hpp"

namespace tutti {
namespace {

double total_size(const std::vector<float>& weights) {
  double total = 0;
  for (const float weight : weights) total += std::fabs(static_cast<double>(weight));
  return total;
}

/// The configuration was checked with the weights of all members; the weights of those that are left may sum to 0.
void check_total(const WeightSum& sum, CombineRule rule, const std::vector<float>& weights,
                 const std::vector<bool>& present) {
  if (sum.divides) return;
  std::string ranks;
  for (std::size_t m = 0; m < present.size(); ++m)
    if (present[m]) ranks += fmt::format("{}rank {}: {}", ranks.empty() ? "" : ", ", m, weights[m]);
  throw Error(ErrorKind::failed,
              fmt::format("rule {} cannot continue: the weights of the members that are left sum to {}", to_name(rule),
                          sum.total),
              fmt::format("weights of those present: {}", ranks),
              "change the weights, combine by another rule, or do not degrade (on_worker_failure, on_nan)");
}

}  // namespace

Accumulator::Accumulator(const config::CombineSpec& spec, std::vector<float> weights, OnNan on_nan)
    : spec_(spec), weights_(std::move(weights)), on_nan_(on_nan) {}

struct Accumulator::Chosen {
  std::vector<std::span<const float>> members;
  std::vector<float> weights;
  double scale = 1;  ///< makes up for missing members in rules that do not divide
};

Accumulator::Result Accumulator::combine(Members members, std::uint32_t count, const ClassAxis& axis) const {
  return combine(members, std::vector<bool>(members.size(), true), count, axis);
}

Accumulator::Result Accumulator::combine(Members members, const std::vector<bool>& present, std::uint32_t count,
                                         const ClassAxis& axis) const {
  Result result;
  combine(members, present, count, axis, result);
  return result;
}

void Accumulator::combine(Members members, const std::vector<bool>& present, std::uint32_t count, const ClassAxis& axis,
                          Result& result) const {
  TUTTI_CHECK(members.size() == present.size());
  const bool combined = spec_.rule != CombineRule::none && !members.empty();
  const std::size_t values = combined ? count * axis.values() : 0;
  result.values.resize(values);
  result.predicted.resize(combined && spec_.decides() ? count * axis.decisions() : 0);
  result.spread.clear();
  if (!combined) return;
  TUTTI_CHECK(members.size() == weights_.size());
  TUTTI_CHECK(axis.values() > 0);
  for (std::size_t m = 0; m < members.size(); ++m)
    if (present[m]) TUTTI_CHECK(members[m].size() == values);
  apply(choose(members, present), count, axis, result);
  if (spec_.spread) tutti::spread(spread_of(spec_), members, present, count, axis, result.spread);
}

void Accumulator::check_finite(std::span<const float> values, std::uint64_t width, std::uint64_t first) const {
  if (on_nan_ == OnNan::allow) return;
  TUTTI_CHECK(values.empty() || values.size() % width == 0, "values are whole rows");
  const std::optional<std::size_t> wrong = first_not_finite(values);
  if (!wrong) return;
  throw Error(
      ErrorKind::failed,
      fmt::format("rule {} gives NaN or infinity for image {}, although every member is finite there",
                  to_name(spec_.rule), first + *wrong / width),
      fmt::format("the values of the members are too large for float32 when they are combined over {}",
                  to_name(spec_.over)),
      "combine over probabilities, change the weights, or let such values into the result with 'on_nan: allow'");
}

void Accumulator::check_finite_spread(std::span<const float> spread, std::uint64_t width, std::uint64_t first) const {
  if (on_nan_ != OnNan::allow) tutti::check_finite_spread(spread, width, first);
}

Accumulator::Result Accumulator::nothing(std::uint32_t count, const ClassAxis& axis) const {
  Result result;
  nothing(count, axis, result);
  return result;
}

void Accumulator::nothing(std::uint32_t count, const ClassAxis& axis, Result& result) const {
  const bool combined = spec_.rule != CombineRule::none;
  result.values.assign(combined ? count * axis.values() : 0, std::numeric_limits<float>::quiet_NaN());
  result.predicted.assign(spec_.decides() ? count * axis.decisions() : 0, -1);
  const std::size_t spread = spread_of(spec_) == Spread::entropy ? axis.decisions() : axis.values();
  result.spread.assign(combined && spec_.spread ? count * spread : 0, std::numeric_limits<float>::quiet_NaN());
}

void Accumulator::check_present(const std::vector<bool>& present) const { checked_scale(weights_of(present), present); }

std::vector<float> Accumulator::weights_of(const std::vector<bool>& present) const {
  std::vector<float> weights;
  for (std::size_t m = 0; m < present.size(); ++m)
    if (present[m]) weights.push_back(weights_[m]);
  TUTTI_CHECK(!weights.empty(), "a segment without an answer is not combined");
  return weights;
}

/// What makes up for missing members, if `weights` are those of the others. Throws Error(failed) if nothing can.
double Accumulator::checked_scale(const std::vector<float>& weights, const std::vector<bool>& present) const {
  if (weights.size() == present.size()) return 1;
  double scale = 1;
  const bool weighted = spec_.rule == CombineRule::weighted;
  if (spec_.rule == CombineRule::sum)
    scale = static_cast<double>(present.size()) / static_cast<double>(weights.size());
  if (weighted && !spec_.normalize) {
    const double size = total_size(weights);
    check_total({size, size != 0}, spec_.rule, weights_, present);
    scale = total_size(weights_) / size;
  } else if (weighted || spec_.rule == CombineRule::vote) {
    check_total(weight_sum(weights, spec_.accumulate_f64), spec_.rule, weights_, present);
  }
  // Infinite weights can make it NaN.
  TUTTI_CHECK(!(scale < 1), "missing members never make the values smaller");
  return scale;
}

Accumulator::Chosen Accumulator::choose(Members members, const std::vector<bool>& present) const {
  Chosen chosen;
  for (std::size_t m = 0; m < members.size(); ++m)
    if (present[m]) chosen.members.push_back(members[m]);
  chosen.weights = weights_of(present);
  chosen.scale = checked_scale(chosen.weights, present);
  return chosen;
}

void Accumulator::apply(const Chosen& chosen, std::uint32_t count, const ClassAxis& axis, Result& result) const {
  float* const values = result.values.data();
  std::int64_t* const predicted = result.predicted.data();
  if (spec_.rule == CombineRule::vote)
    return spec_.accumulate_f64 ? vote<double>(chosen, count, axis, result) : vote<float>(chosen, count, axis, result);
  if (spec_.rule == CombineRule::most_confident) {
    TUTTI_CHECK(spec_.decides(), "the configuration has classes for the rule");
    MostConfident rule(chosen.members, axis);
    return for_each_patch(count, axis, [&](const Patch& patch) { rule.write(patch, values, predicted); });
  }
  ValueRule rule(spec_, chosen.members, chosen.weights, chosen.scale);
  if (!spec_.decides()) return rule.write(0, result.values);
  Predictor(rule, spec_.rule == CombineRule::geometric_mean, axis).write(count, values, predicted);
}

template <class Sum>
void Accumulator::vote(const Chosen& chosen, std::uint32_t count, const ClassAxis& axis, Result& result) const {
  TUTTI_CHECK(spec_.decides(), "the configuration has classes for the rule");
  Vote<Sum> rule(chosen.members, chosen.weights, axis);
  for_each_patch(count, axis,
                 [&](const Patch& patch) { rule.write(patch, result.values.data(), result.predicted.data()); });
}

}  // namespace tutti
