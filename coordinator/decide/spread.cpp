#include "coordinator/decide/spread.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include <tutti/error.hpp>

#include "common/axis.hpp"
#include "common/check.hpp"
#include "common/not_finite.hpp"
#include "coordinator/decide/class_rules.hpp"
#include "coordinator/decide/logarithm.hpp"

namespace tutti {
namespace {

/// Values whose spread is computed together.
constexpr std::size_t kTogether = 512;
using Numbers = std::array<double, kTogether>;

/// The means over the members of `size` values from `first`.
void add_up_means(Answers members, std::size_t first, std::size_t size, Numbers& means) {
  std::fill_n(means.begin(), size, 0.0);
  for (const auto member : members)
    for (std::size_t i = 0; i < size; ++i) means[i] += static_cast<double>(member[first + i]);
  const auto n = static_cast<double>(members.size());
  for (std::size_t i = 0; i < size; ++i) means[i] /= n;
}

void write_variances(Answers members, std::size_t first, std::span<float> run) {
  Numbers means;
  add_up_means(members, first, run.size(), means);
  Numbers sums;
  std::fill_n(sums.begin(), run.size(), 0.0);
  for (const auto member : members)
    for (std::size_t i = 0; i < run.size(); ++i) {
      const double distance = static_cast<double>(member[first + i]) - means[i];
      sums[i] += distance * distance;
    }
  const auto n = static_cast<double>(members.size());
  for (std::size_t i = 0; i < run.size(); ++i) run[i] = static_cast<float>(sums[i] / n);
}

/// - p ln p of the means of `size` values from `first`; 0 of 0.
void write_entropy_terms(Answers members, std::size_t first, std::size_t size, Numbers& terms) {
  Numbers means;
  Numbers logs;
  add_up_means(members, first, size, means);
  for (std::size_t i = 0; i < size; ++i) logs[i] = ln_of_normal(means[i]);
  for (std::size_t i = 0; i < size; ++i) logs[i] = means[i] == 0 ? 0 : with_limits(means[i], logs[i]);
  for (std::size_t i = 0; i < size; ++i) terms[i] = -means[i] * logs[i];
}

void write_entropies(Answers members, const ClassAxis& axis, const Patch& patch, float* result) {
  Numbers terms;
  if (axis.inner == 1) {
    double sum = 0;
    for (std::size_t c = 0; c < axis.classes; c += kTogether) {
      const std::size_t size = std::min<std::size_t>(kTogether, axis.classes - c);
      write_entropy_terms(members, patch.first + c, size, terms);
      for (std::size_t i = 0; i < size; ++i) sum += terms[i];
    }
    *result = static_cast<float>(sum);
    return;
  }
  for (std::size_t p = 0; p < patch.size; p += kTogether) {
    const std::size_t size = std::min(kTogether, patch.size - p);
    Numbers sums;
    std::fill_n(sums.begin(), size, 0.0);
    for (std::size_t c = 0; c < axis.classes; ++c) {
      write_entropy_terms(members, patch.first + p + c * axis.inner, size, terms);
      for (std::size_t i = 0; i < size; ++i) sums[i] += terms[i];
    }
    std::transform(sums.begin(), sums.begin() + size, result + p, [](double sum) { return static_cast<float>(sum); });
  }
}

}  // namespace

Spread spread_of(const config::CombineSpec& combine) {
  const bool one_is_right = combine.over == OutputKind::probabilities && combine.activation != Activation::sigmoid;
  return one_is_right ? Spread::entropy : Spread::variance;
}

Dims spread_shape(const config::CombineSpec& combine, const Dims& prediction) {
  return spread_of(combine) == Spread::entropy ? without_axis(prediction, combine.axis) : prediction;
}

void spread(Spread kind, Answers members, const std::vector<bool>& present, std::uint32_t count, const ClassAxis& axis,
            std::vector<float>& result) {
  TUTTI_CHECK(members.size() == present.size());
  std::vector<std::span<const float>> chosen;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (!present[m]) continue;
    TUTTI_CHECK(members[m].size() == count * axis.values());
    chosen.push_back(members[m]);
  }
  TUTTI_CHECK(!chosen.empty(), "the members of a segment without an answer have no spread");
  if (kind == Spread::variance) {
    result.resize(count * axis.values());
    for (std::size_t first = 0; first < result.size(); first += kTogether)
      write_variances(chosen, first, std::span(result).subspan(first, std::min(kTogether, result.size() - first)));
    return;
  }
  result.resize(count * axis.decisions());
  for_each_patch(count, axis,
                 [&](const Patch& patch) { write_entropies(chosen, axis, patch, result.data() + patch.position); });
}

void check_finite_spread(std::span<const float> spread, std::uint64_t width, std::uint64_t first) {
  TUTTI_CHECK(spread.empty() || spread.size() % width == 0, "a spread is whole rows");
  const std::optional<std::size_t> wrong = first_not_finite(spread);
  if (!wrong) return;
  throw Error(ErrorKind::failed,
              fmt::format("the spread of image {} is NaN or infinity, although every member is finite there",
                          first + *wrong / width),
              "the members are so far apart that the square of their distance does not fit float32",
              "combine over probabilities, leave 'spread' out, or let such values into the result with 'on_nan: "
              "allow'");
}

}  // namespace tutti
