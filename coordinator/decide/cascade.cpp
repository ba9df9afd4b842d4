#include "coordinator/decide/cascade.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/check.hpp"
#include "coordinator/decide/logarithm.hpp"

namespace tutti {
namespace {

struct Largest {
  float first = -std::numeric_limits<float>::infinity();
  float second = -std::numeric_limits<float>::infinity();
};

/// NaN if any value is.
Largest largest_of(std::span<const float> values) {
  Largest two;
  for (const float value : values) {
    if (value != value) return {value, value};
    if (value > two.first)
      two.second = std::exchange(two.first, value);
    else
      two.second = std::max(two.second, value);
  }
  return two;
}

double entropy_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += value;
  double entropy = 0;
  for (const float value : values) {
    const double p = value / sum;
    if (p != p) return p;
    if (p > 0) entropy -= p * ln_of_normal(p);
  }
  return entropy;
}

}  // namespace

Cascade::Cascade(std::vector<config::CascadeStep> steps, std::size_t members) : steps_(std::move(steps)) {
  TUTTI_CHECK(steps_.size() < 32, "rounds are bits of a number");
  if (steps_.empty()) return;
  rounds_ = ByRank<Round>(members);
  for (std::size_t s = 0; s < steps_.size(); ++s)
    for (const std::size_t rank : steps_[s].then) rounds_[Rank(rank)] = Round(s + 1);
}

std::uint32_t Cascade::needed_for(Round round) const {
  std::uint32_t bits = 0;
  for (const std::size_t rank : step_to(round).after) bits |= 1U << rounds_[Rank(rank)].value();
  return bits;
}

double measure_of(config::Doubt measure, std::span<const float> values) {
  switch (measure) {
    case config::Doubt::confidence_below:
      return largest_of(values).first;
    case config::Doubt::margin_below: {
      const Largest two = largest_of(values);
      return values.size() < 2 ? two.first : double{two.first} - double{two.second};
    }
    case config::Doubt::entropy_above:
      break;
  }
  return entropy_of(values);
}

bool is_doubtful(const config::CascadeStep& step, std::span<const float> values) {
  const double measured = measure_of(step.when, values);
  // NaN is neither: it is doubtful.
  return step.when == config::Doubt::entropy_above ? !(measured <= step.threshold) : !(measured >= step.threshold);
}

}  // namespace tutti
