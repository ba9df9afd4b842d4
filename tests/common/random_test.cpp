// The random numbers: the same for the same seed, and distributed as they should be.
#include "common/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace tutti::test {
namespace {

std::vector<int> shuffled(std::size_t count, std::uint64_t seed) {
  std::vector<int> values(count);
  std::iota(values.begin(), values.end(), 0);
  shuffle(std::span(values), seed);
  return values;
}

// Published with the algorithm: the generator started with 0 gives these as its first numbers.
TEST_CASE("the mixer is that of SplitMix64") {
  CHECK(mix(0) == 0xe220a8397b1dcdafU);
  CHECK(mix(0x9e3779b97f4a7c15U) == 0x6e789e6aa1b965f4U);
}

TEST_CASE("a number depends only on seed and counter") {
  CHECK(random_at(1, 2) == random_at(1, 2));
  CHECK(random_at(1, 2) != random_at(1, 3));
  CHECK(random_at(1, 2) != random_at(2, 2));
}

TEST_CASE("uniform numbers stay below one and fill the range") {
  CHECK(unit_float(~std::uint64_t{0}) < 1.0F);
  CHECK(unit_double(~std::uint64_t{0}) < 1.0);
  CHECK(unit_float(0) == 0.0F);
  double sum = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) sum += static_cast<double>(unit_float(random_at(3, i)));
  CHECK(std::abs(sum / 100'000 - 0.5) < 0.005);
}

TEST_CASE("a shuffle keeps every value once and depends only on the seed") {
  auto values = shuffled(1000, 1);
  CHECK(values == shuffled(1000, 1));
  CHECK(values != shuffled(1000, 2));
  CHECK_FALSE(std::is_sorted(values.begin(), values.end()));
  std::sort(values.begin(), values.end());
  for (int i = 0; i < 1000; ++i) REQUIRE(values[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("every order of three values is about as frequent as any other") {
  std::array<int, 27> seen{};
  for (std::uint64_t seed = 0; seed < 60'000; ++seed) {
    const auto v = shuffled(3, seed);
    ++seen[static_cast<std::size_t>(v[0] * 9 + v[1] * 3 + v[2])];
  }
  int orders = 0;
  for (const int count : seen)
    if (count > 0) {
      ++orders;
      CHECK(std::abs(count - 10'000) < 400);
    }
  CHECK(orders == 6);
}

TEST_CASE("nothing and one value can be shuffled") {
  CHECK(shuffled(0, 1).empty());
  CHECK(shuffled(1, 1) == std::vector<int>{0});
}

TEST_CASE("a resample takes each image once on average and leaves out as many as bagging does") {
  double sum = 0;
  double squares = 0;
  int none = 0;
  std::uint32_t most = 0;
  for (std::uint64_t number = 0; number < 100'000; ++number) {
    const std::uint32_t times = poisson_one(7, number);
    sum += times;
    squares += times * times;
    none += times == 0 ? 1 : 0;
    most = std::max(most, times);
    REQUIRE(times == poisson_one(7, number));
  }
  CHECK(std::abs(sum / 100'000 - 1.0) < 0.015);
  CHECK(std::abs(squares / 100'000 - 2.0) < 0.05);  // variance 1 around mean 1
  CHECK(std::abs(none / 100'000.0 - std::exp(-1.0)) < 0.006);
  CHECK(most >= 6);
  CHECK(most <= 16);
}

TEST_CASE("resamples of different seeds differ") {
  int different = 0;
  for (std::uint64_t number = 0; number < 1000; ++number)
    different += poisson_one(1, number) != poisson_one(2, number) ? 1 : 0;
  CHECK(different > 500);
}

}  // namespace
}  // namespace tutti::test
