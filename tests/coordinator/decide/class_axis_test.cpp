// Where the classes of a prediction are, and the largest value of a row.
#include "coordinator/decide/class_axis.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "common/random.hpp"
#include "coordinator/decide/argmax.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

TEST_CASE("the axis of the classes splits a prediction into what is before and behind it") {
  const Dims mask{21, 512, 256};
  CHECK(ClassAxis::of(mask, 1) == ClassAxis{1, 21, 512 * 256});
  CHECK(ClassAxis::of(mask, 2) == ClassAxis{21, 512, 256});
  CHECK(ClassAxis::of(mask, 3) == ClassAxis{21 * 512, 256, 1});
  for (const std::int32_t axis : {1, 2, 3}) CHECK(ClassAxis::of(mask, axis - 4) == ClassAxis::of(mask, axis));
  CHECK(ClassAxis::of({10}, 1) == ClassAxis::of_row(10));
  CHECK(ClassAxis::of({10}, -1) == ClassAxis{1, 10, 1});
  CHECK(ClassAxis(10) == ClassAxis::of_row(10));
}

TEST_CASE("a prediction has the product of its sizes as values and one decision per position") {
  const ClassAxis axis{3, 5, 7};
  CHECK(axis.values() == 105);
  CHECK(axis.decisions() == 21);
  constexpr std::uint32_t kLarge = 100'000;
  CHECK(ClassAxis::of({kLarge, kLarge, kLarge}, 2).values() == 1'000'000'000'000'000ULL);
}

TEST_CASE("an axis that predictions do not have is an error with their sizes") {
  for (const std::int32_t axis : {4, -4, 0, std::numeric_limits<std::int32_t>::min()}) {
    const auto error = error_of([&] { ClassAxis::of({21, 512, 512}, axis); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "there is no axis " + std::to_string(axis) + " with classes");
    CHECK(error->detail() == "the members' predictions are 21x512x512");
    CHECK(error->hint() ==
          "set 'axis' of 'combine' to where the classes are: 1 is the first axis after the sample, -1 the last");
  }
  const auto single = error_of([&] { ClassAxis::of({}, 1); });
  REQUIRE(single);
  CHECK(single->detail() == "the members' predictions are 1");
}

TEST_CASE("the largest value is found and of equals the first") {
  CHECK(argmax(std::vector<float>{1, 3, 3, 2}) == 1);
  CHECK(argmax(std::vector<float>{-2}) == 0);
  CHECK(argmax({}) == 0);
}

TEST_CASE("the largest value of a row of any length is where the standard library finds it") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  for (std::size_t size = 1; size < 140; ++size)
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      std::vector<float> row(size);
      for (std::size_t i = 0; i < size; ++i) {
        const std::uint64_t bits = random_at(seed, i);
        // From all different to so coarse that there are many equals; some with NaN, infinity and both zeros.
        row[i] = seed % 3 == 0 ? unit_float(bits) - 0.5F : static_cast<float>(bits % (2 + seed));
        if (seed >= 6 && bits % 7 == 0) row[i] = bits % 2 == 0 ? kNan : -0.0F;
        if (seed >= 9 && bits % 11 == 0) row[i] = bits % 2 == 0 ? kInfinite : -kInfinite;
      }
      CAPTURE(size);
      CAPTURE(seed);
      CHECK(argmax(row) == static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    }
}

}  // namespace
}  // namespace tutti::test
