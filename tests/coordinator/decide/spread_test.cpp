// The spread of the members' predictions against plain loops, and the logarithms that it uses.
#include "coordinator/decide/spread.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "common/random.hpp"
#include "coordinator/decide/logarithm.hpp"
#include "tests/common/death.hpp"
#include "tests/coordinator/decide/naive_rules.hpp"

namespace tutti::test {
namespace {

/// Of members of which all are present.
std::vector<float> spread_of(Spread kind, const Rows& members, std::uint32_t count, const ClassAxis& axis) {
  std::vector<float> result{-1};  // is overwritten
  spread(kind, std::vector<std::span<const float>>(members.begin(), members.end()),
         std::vector<bool>(members.size(), true), count, axis, result);
  return result;
}

/// Probabilities: positive, and of sum 1 over the classes.
Rows made_up_probabilities(std::size_t members, std::uint32_t count, const ClassAxis& axis) {
  Rows rows(members, std::vector<float>(count * axis.values()));
  for (std::size_t m = 0; m < members; ++m)
    for (std::size_t block = 0; block < count * axis.outer; ++block)
      for (std::size_t i = 0; i < axis.inner; ++i) {
        const auto place = [&](std::size_t c) { return (block * axis.classes + c) * axis.inner + i; };
        float sum = 0;
        for (std::size_t c = 0; c < axis.classes; ++c) sum += rows[m][place(c)] = unit_float(random_at(m, place(c)));
        for (std::size_t c = 0; c < axis.classes; ++c) rows[m][place(c)] /= sum;
      }
  return rows;
}

TEST_CASE("the variance and the entropy are those of a plain loop for every shape") {
  for (const ClassAxis& axis : {ClassAxis{1, 10, 1}, ClassAxis{1, 1300, 1}, ClassAxis{2, 3, 4}, ClassAxis{1, 3, 1100}})
    for (const std::size_t members : {1U, 2U, 5U}) {
      const Rows rows = made_up_probabilities(members, 3, axis);
      CAPTURE(axis.classes);
      CHECK(spread_of(Spread::variance, rows, 3, axis) == variances_naively(rows));
      const auto entropies = spread_of(Spread::entropy, rows, 3, axis);
      const auto expected = entropies_naively(rows, 3, axis);
      REQUIRE(entropies.size() == 3 * axis.decisions());
      for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK(entropies[i] == doctest::Approx(expected[i]).epsilon(1e-6));
    }
}

TEST_CASE("members that agree have no variance and a certain decision has no entropy") {
  const Rows certain{{0, 1, 0}, {0, 1, 0}};
  CHECK(spread_of(Spread::variance, certain, 1, 3) == std::vector<float>{0, 0, 0});
  CHECK(spread_of(Spread::entropy, certain, 1, 3) == std::vector<float>{0});
  // Members that are certain of different classes: half a chance each.
  const Rows apart{{1, 0}, {0, 1}};
  CHECK(spread_of(Spread::variance, apart, 1, 2) == std::vector<float>{0.25F, 0.25F});
  CHECK(spread_of(Spread::entropy, apart, 1, 2).front() == doctest::Approx(std::log(2.0)));
  CHECK(spread_of(Spread::entropy, {std::vector<float>(21, 1.0F / 21)}, 1, 21).front() ==
        doctest::Approx(std::log(21.0)));
}

TEST_CASE("only members that are present have a spread") {
  const std::vector<float> first{1, 2};
  const std::vector<float> third{3, 6};
  std::vector<float> result;
  spread(Spread::variance, std::vector<std::span<const float>>{first, {}, third}, {true, false, true}, 1, 2, result);
  CHECK(result == std::vector<float>{1, 4});
  CHECK(failed_check([&] {
          spread(Spread::variance, std::vector<std::span<const float>>{first}, {false}, 1, 2, result);
        }) == "!chosen.empty(): the members of a segment without an answer have no spread");
  CHECK(failed_check([&] {
          spread(Spread::entropy, std::vector<std::span<const float>>{first}, {true}, 1, 3, result);
        }) == "members[m].size() == count * axis.values() (2 == 3)");
}

TEST_CASE("a spread of NaN is NaN and so is the entropy of what is not a probability") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(spread_of(Spread::variance, {{kNan}, {1}}, 1, 1).front()));
  CHECK(std::isnan(spread_of(Spread::entropy, {{kNan, 1}}, 1, 2).front()));
  CHECK(std::isnan(spread_of(Spread::entropy, {{-0.5F, 1.5F}}, 1, 2).front()));
}

TEST_CASE("the logarithm is off by 1e-9 at most") {
  long double worst = 0;
  const auto compare = [&](double x) {
    worst =
        std::max(worst, std::abs(static_cast<long double>(ln_of_normal(x)) - std::log(static_cast<long double>(x))));
  };
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    compare(0.5 + unit_double(random_at(1, i)));                                                 // near 1
    compare(std::ldexp(1.0 + unit_double(random_at(2, i)), static_cast<int>(i % 2000) - 1000));  // every size
  }
  for (const double x : {1.0, 0x1.6a09e667f3bccp-1, 0x1.6a09e667f3bcdp-1, std::numeric_limits<double>::min()})
    compare(x);
  CHECK(worst < 1e-9L);
  CHECK(ln_of_normal(1.0) == 0);
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  for (const double zero : {0.0, -0.0}) CHECK(with_limits(zero, ln_of_normal(zero)) == -kInfinite);
  CHECK(with_limits(kInfinite, ln_of_normal(kInfinite)) == kInfinite);
  for (const double none : {-1.0, -kInfinite, std::numeric_limits<double>::quiet_NaN()})
    CHECK(std::isnan(with_limits(none, ln_of_normal(none))));
  CHECK(with_limits(2.0, 0.5) == 0.5);
}

TEST_CASE("the exponential is off by 1e-9 at most") {
  long double worst = 0;
  for (std::uint64_t i = 0; i < 40'000; ++i) {
    const double x = (unit_double(random_at(3, i)) - 0.5) * (i % 2 == 0 ? 1400 : 4);
    worst =
        std::max(worst, std::abs(static_cast<long double>(exp_within(x)) / std::exp(static_cast<long double>(x)) - 1));
  }
  CHECK(worst < 1e-9L);
  CHECK(exp_within(0) == 1);
  for (const double low : {-kMostExponent, -104.0}) CHECK(static_cast<float>(exp_within(low)) == 0);
  for (const double high : {kMostExponent, 89.0})
    CHECK(static_cast<float>(exp_within(high)) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(exp_within(std::numeric_limits<double>::quiet_NaN())));
}

}  // namespace
}  // namespace tutti::test
