#include "tests/coordinator/decide/naive_rules.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tutti::test {
namespace {

using Column = std::vector<float>;  // one value per member, or one per class

Column column_of(const Rows& members, std::size_t i) {
  Column column;
  for (const auto& member : members) column.push_back(member[i]);
  return column;
}

/// Where the values of a position are, class by class.
std::vector<std::size_t> places_of(const ClassAxis& axis, std::size_t position) {
  const std::size_t block = position / axis.inner;
  std::vector<std::size_t> places;
  for (std::size_t c = 0; c < axis.classes; ++c)
    places.push_back((block * axis.classes + c) * axis.inner + position % axis.inner);
  return places;
}

Column at(const std::vector<float>& values, const std::vector<std::size_t>& places) {
  Column column;
  for (const std::size_t place : places) column.push_back(values[place]);
  return column;
}

std::size_t first_largest(const Column& column) {
  std::size_t best = 0;
  for (std::size_t c = 1; c < column.size(); ++c)
    if (column[c] > column[best]) best = c;
  return best;
}

float largest(const Column& column) {
  for (const float x : column)
    if (std::isnan(x)) return x;
  return *std::ranges::max_element(column);
}

float median(Column column, bool f64) {
  for (const float x : column)
    if (std::isnan(x)) return x;
  std::stable_sort(column.begin(), column.end());
  const float high = column[column.size() / 2];
  const float low = column[(column.size() - 1) / 2];
  if (column.size() % 2 == 1) return high;
  return f64 ? static_cast<float>((static_cast<double>(low) + static_cast<double>(high)) / 2) : (low + high) / 2.0F;
}

long double mean_logarithm(const Column& column, bool against) {
  long double sum = 0;
  for (const float x : column)
    sum += std::log(against ? 1.0L - static_cast<long double>(x) : static_cast<long double>(x));
  return sum / static_cast<long double>(column.size());
}

/// Where both are 0, the label is ruled out.
float label_mean(const Column& column) {
  const long double g = std::exp(mean_logarithm(column, false));
  const long double h = std::exp(mean_logarithm(column, true));
  return g == 0 ? 0.0F : static_cast<float>(g / (g + h));
}

/// The rules that look at one value of each member; those without a case here look at positions.
template <class Sum>
class Naive {
 public:
  Naive(const config::CombineSpec& spec, std::vector<float> weights, Rows members, double scale)
      : spec_(spec), weights_(std::move(weights)), members_(std::move(members)), scale_(static_cast<Sum>(scale)) {}

  Accumulator::Result combine(std::size_t positions, const ClassAxis& axis) {
    result_.values.resize(members_.front().size());
    for (std::size_t i = 0; i < result_.values.size(); ++i) result_.values[i] = of_values(column_of(members_, i));
    if (!spec_.decides()) return result_;
    for (std::size_t position = 0; position < positions; ++position) {
      const auto places = places_of(axis, position);
      if (spec_.rule == CombineRule::most_confident) take_most_confident(places);
      if (spec_.rule == CombineRule::geometric_mean) normalise(places);
      if (spec_.rule == CombineRule::vote) vote(places);
      if (spec_.rule != CombineRule::vote)
        result_.predicted.push_back(static_cast<std::int64_t>(first_largest(at(result_.values, places))));
    }
    return result_;
  }

 private:
  Sum sum_of(const Column& column, bool weighted) const {
    Sum sum{0};
    for (std::size_t m = 0; m < column.size(); ++m)
      sum += weighted ? static_cast<Sum>(weights_[m]) * static_cast<Sum>(column[m]) : static_cast<Sum>(column[m]);
    return sum;
  }

  Sum total() const {
    Sum total{0};
    for (const float weight : weights_) total += static_cast<Sum>(weight);
    return total;
  }

  float of_values(const Column& x) const {
    switch (spec_.rule) {
      case CombineRule::mean:
        return static_cast<float>(sum_of(x, false) / static_cast<Sum>(x.size()));
      case CombineRule::sum:
        return static_cast<float>(sum_of(x, false) * scale_);
      case CombineRule::weighted:
        return static_cast<float>(spec_.normalize ? sum_of(x, true) / total() : sum_of(x, true) * scale_);
      case CombineRule::max:
        return largest(x);
      case CombineRule::median:
        return median(x, sizeof(Sum) == sizeof(double));
      case CombineRule::geometric_mean:
        return spec_.activation == Activation::sigmoid ? label_mean(x)
                                                       : static_cast<float>(std::exp(mean_logarithm(x, false)));
      default:
        return 0;
    }
  }

  void normalise(const std::vector<std::size_t>& places) {
    double sum = 0;
    for (const std::size_t place : places) sum += static_cast<double>(result_.values[place]);
    if (!(sum > 0)) return;
    for (const std::size_t place : places)
      result_.values[place] = static_cast<float>(static_cast<double>(result_.values[place]) / sum);
  }

  void take_most_confident(const std::vector<std::size_t>& places) {
    std::size_t best = 0;
    const auto confidence = [&](std::size_t m) {
      const Column scores = at(members_[m], places);
      return scores[first_largest(scores)];
    };
    for (std::size_t m = 1; m < members_.size(); ++m)
      if (confidence(m) > confidence(best)) best = m;
    for (const std::size_t place : places) result_.values[place] = members_[best][place];
  }

  void vote(const std::vector<std::size_t>& places) {
    std::vector<Sum> votes(places.size());
    for (std::size_t m = 0; m < members_.size(); ++m)
      votes[first_largest(at(members_[m], places))] += static_cast<Sum>(weights_[m]);
    std::size_t winner = 0;
    for (std::size_t c = 0; c < places.size(); ++c) {
      const Sum score = sum_of(column_of(members_, places[c]), true);
      const Sum other = sum_of(column_of(members_, places[winner]), true);
      if (votes[c] > votes[winner] || (votes[c] == votes[winner] && score > other)) winner = c;
    }
    result_.predicted.push_back(static_cast<std::int64_t>(winner));
    for (std::size_t c = 0; c < places.size(); ++c) result_.values[places[c]] = static_cast<float>(votes[c] / total());
  }

  const config::CombineSpec& spec_;
  std::vector<float> weights_;
  Rows members_;
  Sum scale_;
  Accumulator::Result result_;
};

double size_of_all(const std::vector<float>& weights) {
  double size = 0;
  for (const float weight : weights) size += std::fabs(static_cast<double>(weight));
  return size;
}

}  // namespace

Accumulator::Result combined_naively(const config::CombineSpec& spec, const std::vector<float>& weights,
                                     const Rows& members, const std::vector<bool>& present, std::uint32_t count,
                                     const ClassAxis& axis) {
  Rows some;
  std::vector<float> their_weights;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (!present[m]) continue;
    some.push_back(members[m]);
    their_weights.push_back(weights[m]);
  }
  double scale = 1;
  if (some.size() < members.size() && spec.rule == CombineRule::sum)
    scale = static_cast<double>(members.size()) / static_cast<double>(some.size());
  if (some.size() < members.size() && spec.rule == CombineRule::weighted)
    scale = size_of_all(weights) / size_of_all(their_weights);
  const std::size_t positions = count * axis.decisions();
  return spec.accumulate_f64 ? Naive<double>(spec, their_weights, some, scale).combine(positions, axis)
                             : Naive<float>(spec, their_weights, some, scale).combine(positions, axis);
}

std::vector<float> entropies_naively(const Rows& members, std::uint32_t count, const ClassAxis& axis) {
  std::vector<float> entropies;
  for (std::size_t position = 0; position < count * axis.decisions(); ++position) {
    long double entropy = 0;
    for (const std::size_t place : places_of(axis, position)) {
      long double mean = 0;
      for (const auto& member : members) mean += static_cast<long double>(member[place]);
      mean /= static_cast<long double>(members.size());
      if (mean != 0) entropy -= mean * std::log(mean);
    }
    entropies.push_back(static_cast<float>(entropy));
  }
  return entropies;
}

std::vector<float> variances_naively(const Rows& members) {
  std::vector<float> variances;
  for (std::size_t i = 0; i < members.front().size(); ++i) {
    const auto n = static_cast<double>(members.size());
    double sum = 0;
    for (const auto& member : members) sum += static_cast<double>(member[i]);
    double squares = 0;
    for (const auto& member : members) {
      const double distance = static_cast<double>(member[i]) - sum / n;
      squares += distance * distance;
    }
    variances.push_back(static_cast<float>(squares / n));
  }
  return variances;
}

}  // namespace tutti::test
