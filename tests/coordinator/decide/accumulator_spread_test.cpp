// The spread that an accumulator adds to what it combines: of which members, in which shape, and when it is an error.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "coordinator/decide/accumulator.hpp"
#include "coordinator/decide/spread.hpp"
#include "tests/common/error_of.hpp"
#include "tests/coordinator/decide/naive_rules.hpp"

namespace tutti::test {
namespace {

config::CombineSpec spreading(CombineRule rule, OutputKind over = OutputKind::probabilities) {
  config::CombineSpec spec;
  spec.rule = rule;
  spec.over = over;
  spec.spread = true;
  return spec;
}

Accumulator::Result combine(const config::CombineSpec& spec, const Rows& members, const std::vector<bool>& present,
                            std::uint32_t count, const ClassAxis& axis) {
  const Accumulator accumulator(spec, std::vector<float>(members.size(), 1));
  return accumulator.combine(std::vector<std::span<const float>>(members.begin(), members.end()), present, count, axis);
}

/// Two predictions of two classes at two places, by three members: [sample][class][place].
const Rows kShares{{0.5F, 0.25F, 0.5F, 0.75F, 1, 0, 0, 1},
                   {0.5F, 0.75F, 0.5F, 0.25F, 1, 0, 0, 1},
                   {0.5F, 0.5F, 0.5F, 0.5F, 0, 0, 1, 1}};
const ClassAxis kPlaces{1, 2, 2};
const std::vector<bool> kAll{true, true, true};

TEST_CASE("what spread means follows from what is combined") {
  config::CombineSpec spec;
  CHECK(spread_of(spec) == Spread::entropy);
  CHECK(spread_shape(spec, {3, 4, 5}) == Dims{4, 5});
  CHECK(spread_shape(spec, {10}).empty());
  spec.axis = -1;
  CHECK(spread_shape(spec, {3, 4, 5}) == Dims{3, 4});
  spec.activation = Activation::sigmoid;  // no label excludes another, so there is no distribution over them
  CHECK(spread_of(spec) == Spread::variance);
  CHECK(spread_shape(spec, {3, 4, 5}) == Dims{3, 4, 5});
  for (const OutputKind over : {OutputKind::logits, OutputKind::features, OutputKind::values})
    CHECK(spread_of(spreading(CombineRule::mean, over)) == Spread::variance);
}

TEST_CASE("probabilities get an entropy at each place and other values a variance each") {
  CHECK(combine(spreading(CombineRule::vote), kShares, kAll, 2, kPlaces).spread ==
        entropies_naively(kShares, 2, kPlaces));
  CHECK(combine(spreading(CombineRule::mean, OutputKind::values), kShares, kAll, 2, kPlaces).spread ==
        variances_naively(kShares));
  CHECK(combine({}, kShares, kAll, 2, kPlaces).spread.empty());
}

TEST_CASE("the spread changes neither the values nor the classes") {
  const auto with = combine(spreading(CombineRule::median), kShares, kAll, 2, kPlaces);
  config::CombineSpec plain = spreading(CombineRule::median);
  plain.spread = false;
  const auto without = combine(plain, kShares, kAll, 2, kPlaces);
  CHECK(with.values == without.values);
  CHECK(with.predicted == without.predicted);
}

TEST_CASE("members that are absent do not count for the spread") {
  const Rows two{kShares[0], kShares[2]};
  CHECK(combine(spreading(CombineRule::mean), kShares, {true, false, true}, 2, kPlaces).spread ==
        entropies_naively(two, 2, kPlaces));
  CHECK(combine(spreading(CombineRule::mean, OutputKind::logits), kShares, {true, false, true}, 2, kPlaces).spread ==
        variances_naively(two));
}

TEST_CASE("images without a prediction have a spread that is not a number") {
  const auto all_nan = [](const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); });
  };
  const auto entropies = Accumulator(spreading(CombineRule::mean), {1}).nothing(2, kPlaces).spread;
  CHECK(entropies.size() == 4);
  CHECK(all_nan(entropies));
  const auto variances = Accumulator(spreading(CombineRule::mean, OutputKind::values), {1}).nothing(2, kPlaces).spread;
  CHECK(variances.size() == 8);
  CHECK(all_nan(variances));
  CHECK(Accumulator({}, {1}).nothing(2, kPlaces).spread.empty());
}

TEST_CASE("a variance that float32 cannot hold is an error unless such values are allowed") {
  const config::CombineSpec spec = spreading(CombineRule::mean, OutputKind::values);
  const Rows apart{{0, 1, 2e30F}, {0, 1, -2e30F}};
  const auto spread = combine(spec, apart, {true, true}, 3, ClassAxis::of_row(1)).spread;
  CHECK(spread == std::vector<float>{0, 0, std::numeric_limits<float>::infinity()});
  const auto error = error_of([&] { Accumulator(spec, {1, 1}).check_finite_spread(spread, 1, 10); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "the spread of image 12 is NaN or infinity, although every member is finite there");
  CHECK(error->detail() == "the members are so far apart that the square of their distance does not fit float32");
  CHECK(error->hint() ==
        "combine over probabilities, leave 'spread' out, or let such values into the result with 'on_nan: allow'");
  CHECK_FALSE(error_of([&] { Accumulator(spec, {1, 1}, OnNan::allow).check_finite_spread(spread, 1, 10); }));
}

}  // namespace
}  // namespace tutti::test
