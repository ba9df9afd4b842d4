#include "coordinator/decide/accumulator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/weight_sum.hpp"

namespace tutti {
namespace {

using Answers = std::span<const std::span<const float>>;

template <class Sum>
float median_of(std::vector<float>& column) {
  const std::size_t half = column.size() / 2;
  std::sort(column.begin(), column.end());
  if (column.size() % 2 == 1) return column[half];
  return static_cast<float>((static_cast<Sum>(column[half - 1]) + static_cast<Sum>(column[half])) / Sum{2});
}

void normalise_rows(std::span<float> values, std::uint32_t width) {
  for (std::size_t first = 0; first < values.size(); first += width) {
    const std::span row = values.subspan(first, width);
    double sum = 0;
    for (const float value : row) sum += static_cast<double>(value);
    // If the members together rule every class out, the sum is 0 and there is nothing to divide by.
    if (sum > 0)
      for (float& value : row) value = static_cast<float>(static_cast<double>(value) / sum);
  }
}

void copy_most_confident(Answers members, std::uint32_t width, std::vector<float>& values) {
  for (std::size_t first = 0; first < values.size(); first += width) {
    std::span<const float> best;
    float confidence = 0;
    for (const auto member : members) {
      const auto row = member.subspan(first, width);
      const float top = row[argmax(row)];
      if (!best.empty() && !(top > confidence)) continue;
      best = row;
      confidence = top;
    }
    std::copy(best.begin(), best.end(), values.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

template <class Sum>
Sum total_of(const std::vector<float>& weights) {
  Sum total{0};
  for (const float weight : weights) total += static_cast<Sum>(weight);
  return total;
}

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

std::size_t argmax(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

Accumulator::Accumulator(const config::CombineSpec& spec, std::vector<float> weights, OnNan on_nan)
    : spec_(spec), weights_(std::move(weights)), on_nan_(on_nan) {}

struct Accumulator::Chosen {
  std::vector<std::span<const float>> members;
  std::vector<float> weights;
  double scale = 1;  ///< makes up for missing members in rules that do not divide
};

Accumulator::Result Accumulator::combine(Answers members, std::uint32_t count, std::uint32_t width) const {
  return combine(members, std::vector<bool>(members.size(), true), count, width);
}

Accumulator::Result Accumulator::combine(Answers members, const std::vector<bool>& present, std::uint32_t count,
                                         std::uint32_t width) const {
  TUTTI_CHECK(members.size() == present.size());
  if (spec_.rule == CombineRule::none || members.empty()) return {};
  TUTTI_CHECK(members.size() == weights_.size());
  for (std::size_t m = 0; m < members.size(); ++m)
    if (present[m]) TUTTI_CHECK(members[m].size() == std::size_t{count} * width);
  return combine(choose(members, present), count, width);
}

void Accumulator::check_finite(std::span<const float> values, std::uint32_t width, std::uint64_t first) const {
  if (on_nan_ == OnNan::allow) return;
  TUTTI_CHECK(values.empty() || values.size() % width == 0, "values are whole rows");
  const auto wrong = std::find_if_not(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  if (wrong == values.end()) return;
  const auto image = first + static_cast<std::uint64_t>(wrong - values.begin()) / width;
  throw Error(
      ErrorKind::failed,
      fmt::format("rule {} gives NaN or infinity for image {}, although every member is finite there",
                  to_name(spec_.rule), image),
      fmt::format("the values of the members are too large for float32 when they are combined over {}",
                  to_name(spec_.over)),
      "combine over probabilities, change the weights, or let such values into the result with 'on_nan: allow'");
}

Accumulator::Result Accumulator::nothing(std::uint32_t count, std::uint32_t width) const {
  Result result;
  if (spec_.rule == CombineRule::none) return result;
  result.values.assign(std::size_t{count} * width, std::numeric_limits<float>::quiet_NaN());
  if (spec_.over != OutputKind::features) result.predicted.assign(count, -1);
  return result;
}

Accumulator::Chosen Accumulator::choose(Answers members, const std::vector<bool>& present) const {
  Chosen chosen;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (!present[m]) continue;
    chosen.members.push_back(members[m]);
    chosen.weights.push_back(weights_[m]);
  }
  TUTTI_CHECK(!chosen.members.empty(), "a segment without an answer is not combined");
  if (chosen.members.size() == members.size()) return chosen;
  const bool weighted = spec_.rule == CombineRule::weighted;
  if (spec_.rule == CombineRule::sum)
    chosen.scale = static_cast<double>(members.size()) / static_cast<double>(chosen.members.size());
  if (weighted && !spec_.normalize) {
    const double size = total_size(chosen.weights);
    check_total({size, size != 0}, spec_.rule, weights_, present);
    chosen.scale = total_size(weights_) / total_size(chosen.weights);
  } else if (weighted || spec_.rule == CombineRule::vote) {
    check_total(weight_sum(chosen.weights, spec_.accumulate_f64), spec_.rule, weights_, present);
  }
  // Infinite weights can make it NaN.
  TUTTI_CHECK(!(chosen.scale < 1), "missing members never make the values smaller");
  return chosen;
}

Accumulator::Result Accumulator::combine(const Chosen& chosen, std::uint32_t count, std::uint32_t width) const {
  Result result;
  result.values.resize(std::size_t{count} * width);
  if (spec_.rule == CombineRule::vote) {
    spec_.accumulate_f64 ? vote<double>(chosen, count, width, result) : vote<float>(chosen, count, width, result);
    return result;
  }
  spec_.accumulate_f64 ? combine_values<double>(chosen, width, result) : combine_values<float>(chosen, width, result);
  if (spec_.over == OutputKind::features) return result;
  result.predicted.resize(count);
  for (std::uint32_t image = 0; image < count; ++image)
    result.predicted[image] = static_cast<std::int64_t>(
        argmax(std::span<const float>(result.values).subspan(std::size_t{image} * width, width)));
  return result;
}

template <class Sum>
void Accumulator::combine_values(const Chosen& chosen, std::uint32_t width, Result& result) const {
  const Answers members = chosen.members;
  const std::vector<float>& weights = chosen.weights;
  std::vector<float>& values = result.values;
  const auto n = static_cast<Sum>(members.size());
  // Sets values[i] to `finish` of the sum of the members' terms at i. Every sum is added up in rank order. Within a
  // block of values the loop over the members is the outer one, so that the compiler adds several values at once.
  const auto each_sum = [&](auto term, auto finish) {
    constexpr std::size_t kBlock = 512;
    std::array<Sum, kBlock> sums;
    for (std::size_t first = 0; first < values.size(); first += kBlock) {
      const std::size_t size = std::min(kBlock, values.size() - first);
      std::fill_n(sums.begin(), size, Sum{0});
      for (std::size_t m = 0; m < members.size(); ++m) {
        const float* const x = members[m].data() + first;
        for (std::size_t i = 0; i < size; ++i) sums[i] += term(m, x[i]);
      }
      for (std::size_t i = 0; i < size; ++i) values[first + i] = static_cast<float>(finish(sums[i]));
    }
  };
  const auto as_it_is = [](std::size_t, float x) { return static_cast<Sum>(x); };
  switch (spec_.rule) {
    case CombineRule::mean:
      return each_sum(as_it_is, [n](Sum sum) { return sum / n; });
    case CombineRule::sum:
      return each_sum(as_it_is, [scale = static_cast<Sum>(chosen.scale)](Sum sum) { return sum * scale; });
    case CombineRule::weighted: {
      const Sum divisor = spec_.normalize ? total_of<Sum>(weights) : Sum{1};
      return each_sum([&](std::size_t m, float x) { return static_cast<Sum>(weights[m]) * static_cast<Sum>(x); },
                      [scale = static_cast<Sum>(chosen.scale), divisor](Sum sum) { return sum * scale / divisor; });
    }
    case CombineRule::max:
      std::copy(members.front().begin(), members.front().end(), values.begin());
      for (const auto member : members)
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::max(values[i], member[i]);
      return;
    case CombineRule::median: {
      std::vector<float> column(members.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        for (std::size_t m = 0; m < members.size(); ++m) column[m] = members[m][i];
        values[i] = static_cast<float>(median_of<Sum>(column));
      }
      return;
    }
    case CombineRule::geometric_mean: {
      each_sum([](std::size_t, float x) { return std::log(static_cast<Sum>(x)); },
               [n](Sum sum) { return std::exp(sum / n); });
      return normalise_rows(values, width);
    }
    case CombineRule::most_confident:
      return copy_most_confident(members, width, values);
    case CombineRule::vote:
    case CombineRule::none:
      break;
  }
  TUTTI_UNREACHABLE("handled by combine()");
}

template <class Sum>
void Accumulator::vote(const Chosen& chosen, std::uint32_t count, std::uint32_t width, Result& result) const {
  const Answers members = chosen.members;
  result.predicted.resize(count);
  const Sum total = total_of<Sum>(chosen.weights);
  std::vector<Sum> votes(width);
  std::vector<Sum> scores(width);
  for (std::uint32_t image = 0; image < count; ++image) {
    const std::size_t first = std::size_t{image} * width;
    std::fill(votes.begin(), votes.end(), Sum{0});
    std::fill(scores.begin(), scores.end(), Sum{0});
    for (std::size_t m = 0; m < members.size(); ++m) {
      const auto row = members[m].subspan(first, width);
      const Sum weight = static_cast<Sum>(chosen.weights[m]);
      votes[argmax(row)] += weight;
      for (std::uint32_t c = 0; c < width; ++c) scores[c] += weight * static_cast<Sum>(row[c]);
    }
    std::size_t winner = 0;
    for (std::size_t c = 1; c < width; ++c)
      if (votes[c] > votes[winner] || (votes[c] == votes[winner] && scores[c] > scores[winner])) winner = c;
    result.predicted[image] = static_cast<std::int64_t>(winner);
    for (std::uint32_t c = 0; c < width; ++c) result.values[first + c] = static_cast<float>(votes[c] / total);
  }
}

}  // namespace tutti
