// The grid of a sweep, its verdicts, and percentiles.
#include "bench/comparison/sweep.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "bench/comparison/interference.hpp"

namespace tutti::bench {
namespace {

const Point kBase{4, 20, 500, 4, {}};

bool has(const std::vector<Point>& points, const Point& wanted) {
  return std::find(points.begin(), points.end(), wanted) != points.end();
}

TEST_CASE("the grid starts with the description and holds each point once") {
  const std::vector<Point> points = sweep_points(kBase);
  REQUIRE_FALSE(points.empty());
  CHECK(points.front() == kBase);
  for (const Point& point : points) CHECK(std::count(points.begin(), points.end(), point) == 1);
}

TEST_CASE("the grid changes members and batch and segment and cores and the cost of fake members") {
  const std::vector<Point> points = sweep_points(kBase);
  for (const std::uint32_t members : {1U, 2U, 8U}) CHECK(has(points, {members, 20, 500, 4, {}}));
  for (const std::uint32_t batch : {4U, 100U}) CHECK(has(points, {4, batch, 500, 4, {}}));
  for (const std::uint32_t segment : {50U, 200U}) CHECK(has(points, {4, 20, segment, 4, {}}));
  for (const std::uint32_t cores : {1U, 2U}) CHECK(has(points, {4, 20, 500, cores, {}}));
  for (const std::uint64_t cost : {0U, 100U, 1000U, 10000U}) CHECK(has(points, {8, 20, 500, 4, cost}));
}

TEST_CASE("the fastest strategy wins by its lead over the second") {
  const Verdict verdict = judge({{Contender::threads, 100}, {Contender::multiprocess, 150}, {Contender::fused, 120}});
  CHECK(verdict.winner == Contender::multiprocess);
  CHECK(verdict.lead == doctest::Approx(1.25));
}

TEST_CASE("a strategy that is alone leads by nothing") {
  const Verdict verdict = judge({{Contender::sequential, 7}});
  CHECK(verdict.winner == Contender::sequential);
  CHECK(verdict.lead == 1);
}

TEST_CASE("a percentile is the nearest rank") {
  CHECK(percentile({3, 1, 2}, 50) == 2);
  CHECK(percentile({4, 1, 2, 3}, 50) == 2);
  CHECK(percentile({1, 2, 3}, 99) == 3);
  CHECK(percentile({5}, 0) == 5);
  std::vector<double> hundred;
  for (int i = 100; i > 0; --i) hundred.push_back(i);
  CHECK(percentile(hundred, 99) == 99);
}

}  // namespace
}  // namespace tutti::bench
