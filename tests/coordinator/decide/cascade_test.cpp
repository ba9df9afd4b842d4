// Which samples are doubtful, and in which round a member is asked.
#include "coordinator/decide/cascade.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace tutti::test {
namespace {

using config::CascadeStep;
using config::Doubt;

bool doubtful(Doubt when, double threshold, std::vector<float> values) {
  return is_doubtful({{0}, when, threshold, {1}}, values);
}

TEST_CASE("a member is asked in the round of the step that names it") {
  const Cascade cascade({{{0, 2}, Doubt::confidence_below, 0.5, {1}}, {{0, 1}, Doubt::margin_below, 0.1, {3}}}, 4);
  CHECK(cascade.rounds() == 3);
  CHECK(cascade.rounds_of_members() == ByRank<Round>{0, 1, 0, 2});
  CHECK(cascade.needed_for(1) == 0b1);
  CHECK(cascade.needed_for(2) == 0b11);
  CHECK(cascade.step_to(2).then == std::vector<std::size_t>{3});
  CHECK(Cascade().empty());
  CHECK(Cascade().rounds_of_members().empty());
  CHECK(Cascade().round_of(7) == Round{});
}

TEST_CASE("a sample is doubtful below the threshold and not at it") {
  CHECK(doubtful(Doubt::confidence_below, 0.75, {0.7F, 0.3F}));
  CHECK_FALSE(doubtful(Doubt::confidence_below, 0.75, {0.75F, 0.25F}));
  CHECK_FALSE(doubtful(Doubt::margin_below, 0.5, {0.25F, 0.75F}));
  CHECK(doubtful(Doubt::margin_below, 0.5, {0.3F, 0.7F}));
  CHECK(doubtful(Doubt::margin_below, 1, {0.5F, 0.5F}));
  CHECK_FALSE(doubtful(Doubt::margin_below, 1, {1}));
}

TEST_CASE("the entropy is that of the values divided by their sum") {
  const std::vector<float> even{0.5F, 0.5F, 0.5F, 0.5F};
  CHECK(measure_of(Doubt::entropy_above, even) == doctest::Approx(std::log(4.0)).epsilon(1e-9));
  CHECK(measure_of(Doubt::entropy_above, std::vector<float>{0, 1}) == doctest::Approx(0.0));
  CHECK(doubtful(Doubt::entropy_above, 1.3, even));
  CHECK_FALSE(doubtful(Doubt::entropy_above, 1.4, even));
}

TEST_CASE("what is not known is doubtful") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& values : {std::vector<float>{nan, 1}, {1, nan}, {nan, nan}}) {
    CHECK(doubtful(Doubt::confidence_below, 0.1, values));
    CHECK(doubtful(Doubt::margin_below, 0.1, values));
    CHECK(doubtful(Doubt::entropy_above, 5, values));
  }
  CHECK(doubtful(Doubt::entropy_above, 5, {0, 0}));
}

}  // namespace
}  // namespace tutti::test
