// The search for values that are NaN or infinite.
#include "common/not_finite.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

namespace tutti::test {
namespace {

TEST_CASE("the first value that is not finite is found wherever it is") {
  constexpr float kMost = std::numeric_limits<float>::max();
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  std::vector<float> values(70, kMost);
  values[3] = -kMost;
  values[4] = std::numeric_limits<float>::denorm_min();
  CHECK_FALSE(first_not_finite(values));
  CHECK_FALSE(first_not_finite({}));
  for (const std::size_t place : {69U, 64U, 17U, 1U, 0U}) {
    for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), -kInfinite, kInfinite}) {
      values[place] = wrong;
      CHECK(first_not_finite(values) == place);
    }
  }
}

}  // namespace
}  // namespace tutti::test
