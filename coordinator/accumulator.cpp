#include "coordinator/accumulator.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

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
    // All members that rule a class out together leave nothing to divide.
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

}  // namespace

std::size_t argmax(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

Accumulator::Accumulator(const config::CombineSpec& spec, std::vector<float> weights)
    : spec_(spec), weights_(std::move(weights)) {}

Accumulator::Result Accumulator::combine(Answers members, std::uint32_t count, std::uint32_t width) const {
  Result result;
  if (spec_.rule == CombineRule::none || members.empty()) return result;
  assert(members.size() == weights_.size());
  result.values.resize(std::size_t{count} * width);
  if (spec_.rule == CombineRule::vote) {
    spec_.accumulate_f64 ? vote<double>(members, count, width, result) : vote<float>(members, count, width, result);
    return result;
  }
  spec_.accumulate_f64 ? combine_values<double>(members, width, result) : combine_values<float>(members, width, result);
  if (spec_.over == OutputKind::features) return result;
  result.predicted.resize(count);
  for (std::uint32_t image = 0; image < count; ++image)
    result.predicted[image] = static_cast<std::int64_t>(
        argmax(std::span<const float>(result.values).subspan(std::size_t{image} * width, width)));
  return result;
}

template <class Sum>
void Accumulator::combine_values(Answers members, std::uint32_t width, Result& result) const {
  std::vector<float>& values = result.values;
  const auto n = static_cast<Sum>(members.size());
  // Fills values[i] with what `rule` makes of the members' values at i.
  const auto each = [&](auto rule) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rule(i));
  };
  const auto sum_of = [&](auto term) {
    return [&members, term](std::size_t i) {
      Sum sum{0};
      for (std::size_t m = 0; m < members.size(); ++m) sum += term(m, members[m][i]);
      return sum;
    };
  };
  const auto plain_sum = sum_of([](std::size_t, float x) { return static_cast<Sum>(x); });
  switch (spec_.rule) {
    case CombineRule::mean:
      return each([&](std::size_t i) { return plain_sum(i) / n; });
    case CombineRule::sum:
      return each(plain_sum);
    case CombineRule::weighted: {
      Sum total{0};
      for (const float weight : weights_) total += static_cast<Sum>(weight);
      const Sum divisor = spec_.normalize ? total : Sum{1};
      const auto weighted_sum =
          sum_of([&](std::size_t m, float x) { return static_cast<Sum>(weights_[m]) * static_cast<Sum>(x); });
      return each([&](std::size_t i) { return weighted_sum(i) / divisor; });
    }
    case CombineRule::max:
      return each([&](std::size_t i) {
        float top = members.front()[i];
        for (const auto member : members) top = std::max(top, member[i]);
        return top;
      });
    case CombineRule::median: {
      std::vector<float> column(members.size());
      return each([&](std::size_t i) {
        for (std::size_t m = 0; m < members.size(); ++m) column[m] = members[m][i];
        return median_of<Sum>(column);
      });
    }
    case CombineRule::geometric_mean: {
      const auto log_sum = sum_of([](std::size_t, float x) { return std::log(static_cast<Sum>(x)); });
      each([&](std::size_t i) { return std::exp(log_sum(i) / n); });
      return normalise_rows(values, width);
    }
    case CombineRule::most_confident:
      return copy_most_confident(members, width, values);
    case CombineRule::vote:
    case CombineRule::none:
      break;
  }
  assert(false && "handled by combine()");
}

template <class Sum>
void Accumulator::vote(Answers members, std::uint32_t count, std::uint32_t width, Result& result) const {
  result.predicted.resize(count);
  Sum total{0};
  for (const float weight : weights_) total += static_cast<Sum>(weight);
  std::vector<Sum> votes(width);
  std::vector<Sum> scores(width);
  for (std::uint32_t image = 0; image < count; ++image) {
    const std::size_t first = std::size_t{image} * width;
    std::fill(votes.begin(), votes.end(), Sum{0});
    std::fill(scores.begin(), scores.end(), Sum{0});
    for (std::size_t m = 0; m < members.size(); ++m) {
      const auto row = members[m].subspan(first, width);
      const Sum weight = static_cast<Sum>(weights_[m]);
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
