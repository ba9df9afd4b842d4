// Where layers are cut: against every other cut.
#include "config/balanced_cut.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "common/random.hpp"

namespace tutti::test {
namespace {

using Cuts = std::vector<std::uint32_t>;

/// The heaviest part, and the sum of squares.
std::pair<double, double> cost_of(const std::vector<std::uint64_t>& weights, const Cuts& cuts) {
  std::pair<double, double> cost{0, 0};
  for (std::size_t part = 0, layer = 0; part <= cuts.size(); ++part) {
    double sum = 0;
    for (; layer < (part < cuts.size() ? cuts[part] : weights.size()); ++layer)
      sum += static_cast<double>(weights[layer]);
    cost.first = std::max(cost.first, sum);
    cost.second += sum * sum;
  }
  return cost;
}

/// Tries all cuts that begin with `cuts`.
std::pair<double, double> best_cost(const std::vector<std::uint64_t>& weights, std::size_t parts, Cuts cuts = {}) {
  if (cuts.size() + 1 == parts) return cost_of(weights, cuts);
  std::pair best{1e300, 1e300};
  const std::size_t last = weights.size() - (parts - cuts.size() - 1);
  for (std::uint32_t cut = cuts.empty() ? 1 : cuts.back() + 1; cut <= last; ++cut) {
    Cuts more = cuts;
    more.push_back(cut);
    best = std::min(best, best_cost(weights, parts, std::move(more)));
  }
  return best;
}

TEST_CASE("equal layers are cut into parts of the same number, and a heavy first one counts") {
  CHECK(config::balanced_cut(std::vector<std::uint64_t>(12, 7), 3) == Cuts{4, 8});
  CHECK(config::balanced_cut(std::vector<std::uint64_t>(12, 7), 1) == Cuts{});
  CHECK(config::balanced_cut(std::vector<std::uint64_t>(5, 7), 5) == Cuts{1, 2, 3, 4});
  std::vector<std::uint64_t> weights(12, 10);
  weights.front() = 30;
  CHECK(config::balanced_cut(weights, 2) == Cuts{5});
  CHECK(config::balanced_cut(std::vector<std::uint64_t>{100, 1, 1, 1, 1}, 3) == Cuts{1, 3});
}

TEST_CASE("no other cut has a lighter heaviest part or, with the same one, a smaller sum of squares") {
  for (std::uint64_t round = 0; round < 60; ++round) {
    std::vector<std::uint64_t> weights(1 + random_at(3, round) % 9);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = random_at(round, i) % 20;
    for (std::size_t parts = 1; parts <= weights.size(); ++parts) {
      CAPTURE(round);
      CAPTURE(parts);
      const Cuts cuts = config::balanced_cut(weights, parts);
      REQUIRE(cuts.size() + 1 == parts);
      for (std::size_t i = 0; i < cuts.size(); ++i) CHECK(cuts[i] > (i == 0 ? 0 : cuts[i - 1]));
      CHECK(cost_of(weights, cuts) == best_cost(weights, parts));
    }
  }
}

}  // namespace
}  // namespace tutti::test
