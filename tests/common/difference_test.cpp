// How far apart outputs are.
#include "common/difference.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace tutti::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinite = std::numeric_limits<float>::infinity();

double apart(std::vector<float> first, std::vector<float> other) { return difference_of(first, other); }

TEST_CASE("differences are parts of the largest output of the first") {
  CHECK(apart({1, -10, 2}, {1, -10, 2}) == 0);
  CHECK(apart({1, -10, 2}, {1.5, -10, 2}) == doctest::Approx(0.05));
  CHECK(apart({0, 0}, {0, 0}) == 0);
  CHECK(std::isinf(apart({0, 0}, {0, 1})));
  CHECK(apart({}, {}) == 0);
}

TEST_CASE("values that are not finite must be in the same places") {
  CHECK(apart({kNan, 1}, {kNan, 1}) == 0);
  CHECK(apart({kInfinite, 1}, {kInfinite, 1}) == 0);
  CHECK(std::isinf(apart({kNan, 1}, {0, 1})));
  CHECK(std::isinf(apart({1, 1}, {1, kNan})));
  CHECK(std::isinf(apart({kInfinite, 1}, {-kInfinite, 1})));
}

}  // namespace
}  // namespace tutti::test
