// The search for the best batch on simulated machines, where a formula gives the cost of a batch.
#include "coordinator/decide/batch_search.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "common/random.hpp"
#include "tests/common/death.hpp"

namespace tutti::test {
namespace {

using Sizes = std::vector<std::uint32_t>;
using Seconds = BatchSearch::Seconds;
/// Seconds that a batch of this size takes.
using Cost = std::function<double(std::uint32_t)>;

Cost fixed_and_each(double fixed, double each) {
  return [=](std::uint32_t batch) { return fixed + each * batch; };
}
/// Lowest at `best`, higher by `share` for each doubling or halving away from it.
Cost best_at(std::uint32_t best, double each, double share) {
  return [=](std::uint32_t batch) {
    double factor = 1;
    for (std::uint32_t at = std::min(best, batch); at < std::max(best, batch); at *= 2) factor += share;
    return each * batch * factor;
  };
}

struct Outcome {
  double seconds = 0;
  std::vector<BatchSearch::Round> rounds;
};

/// Drives the search; a group computes its batches one after another, at most `noise` longer.
Outcome simulate(BatchSearch& search, const std::vector<Cost>& costs, double noise = 0, std::uint64_t seed = 1) {
  Outcome outcome;
  while (const auto round = search.next()) {
    BatchSearch::Times times;
    for (std::size_t group = 0; group < costs.size(); ++group) {
      double sum = 0;
      for (std::uint32_t left = round->images; left > 0;) {
        const std::uint32_t batch = std::min(left, round->batches[group]);
        sum += costs[group](batch);
        left -= batch;
      }
      sum *= 1 + noise * static_cast<double>(unit_float(random_at(seed, outcome.rounds.size() * 8 + group)));
      times.busy.emplace_back(sum);
    }
    times.wall = *std::max_element(times.busy.begin(), times.busy.end());
    outcome.seconds += times.wall.count();
    outcome.rounds.push_back(*round);
    search.add(times);
    REQUIRE(outcome.rounds.size() < 1000);
  }
  return outcome;
}

Sizes tried(const BatchSearch& search, std::size_t group) {
  Sizes sizes;
  for (const BatchSpeed& speed : search.speeds(group)) sizes.push_back(speed.batch_images);
  return sizes;
}

TEST_CASE("candidates double from 4 on and divide the segment if a divisor is near") {
  CHECK(batch_candidates(500, 256) == Sizes{4, 8, 16, 25, 50, 125, 250});
  CHECK(batch_candidates(512, 256) == Sizes{4, 8, 16, 32, 64, 128, 256});
  CHECK(batch_candidates(499, 64) == Sizes{4, 8, 16, 32, 64});
  CHECK(batch_candidates(500, 1024) == Sizes{4, 8, 16, 25, 50, 125, 250, 500});
  CHECK(batch_candidates(16777216, 256).back() == 256);
}

TEST_CASE("a segment that is short has few candidates and the whole of it is one") {
  CHECK(batch_candidates(1, 256) == Sizes{1});
  CHECK(batch_candidates(3, 256) == Sizes{3});
  CHECK(batch_candidates(4, 256) == Sizes{4});
  CHECK(batch_candidates(5, 256) == Sizes{5});
  CHECK(batch_candidates(9, 256) == Sizes{4, 9});
  CHECK(batch_candidates(20, 256) == Sizes{4, 8, 20});
}

TEST_CASE("the fastest batch is found at any position and despite noise") {
  for (const std::uint32_t best : {4U, 8U, 16U, 32U, 64U, 128U, 256U})
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(best);
      CAPTURE(seed);
      BatchSearch search(512, {256});
      simulate(search, {best_at(best, 1e-4, 0.15)}, 0.05, seed);
      CHECK(search.choice(0) == best);
    }
}

TEST_CASE("of batches that are equally fast the smallest is taken and the search ends soon") {
  BatchSearch search(512, {256});
  const Outcome outcome = simulate(search, {fixed_and_each(0, 1e-4)}, 0.02);
  CHECK(search.choice(0) == 4);
  CHECK(tried(search, 0) == Sizes{4, 8, 16});
  CHECK(outcome.seconds < 0.5);
}

TEST_CASE("if every batch costs the same the largest is taken") {
  BatchSearch search(500, {256});
  simulate(search, {fixed_and_each(0.002, 0)});
  CHECK(search.choice(0) == 250);
  CHECK(tried(search, 0) == Sizes{4, 8, 16, 25, 50, 125, 250});
}

TEST_CASE("the reported speed of a batch is that of one member in its fastest round") {
  BatchSearch search(16, {256});
  simulate(search, {fixed_and_each(0.004, 0.001)});
  REQUIRE(search.speeds(0).size() == 3);
  CHECK(search.speeds(0)[0].images_per_second == doctest::Approx(4 / 0.008));
  CHECK(search.speeds(0)[1].images_per_second == doctest::Approx(8 / 0.012));
  CHECK(search.speeds(0)[2].images_per_second == doctest::Approx(16 / 0.020));
}

TEST_CASE("each batch is tried once by itself and then in rounds of whole batches") {
  BatchSearch search(500, {256});
  std::uint32_t last = 0;
  for (const auto& round : simulate(search, {best_at(32, 1e-4, 0.2)}).rounds) {
    if (round.batches[0] != last) CHECK(round.images == round.batches[0]);
    last = round.batches[0];
    CHECK(round.images % round.batches[0] == 0);
    CHECK(round.images <= 500);
  }
}

TEST_CASE("a round of fast members is a whole segment and there are not endlessly many") {
  BatchSearch search(512, {256});
  const Outcome outcome = simulate(search, {best_at(64, 1e-7, 0.2)});
  CHECK(search.choice(0) == 64);
  CHECK(outcome.rounds[1].images == 512);
  CHECK(outcome.rounds.size() <= 7 * (BatchSearch::kMostRounds + 1));
}

TEST_CASE("a member whose smallest batch takes long is asked once") {
  BatchSearch search(512, {256});
  const Outcome outcome = simulate(search, {fixed_and_each(0, 0.5)});
  CHECK(outcome.rounds.size() == 1);
  CHECK(search.choice(0) == 4);
  CHECK(tried(search, 0) == Sizes{4});
}

TEST_CASE("a batch that would take long or exceed the budget is not tried") {
  BatchSearch slow(512, {256});
  simulate(slow, {fixed_and_each(0.02, 0.015)});  // 16 images take 0.26 s, 32 would take 0.5 s
  CHECK(tried(slow, 0) == Sizes{4, 8, 16});
  for (const double each : {1e-6, 1e-5, 1e-4, 1e-3, 5e-3, 1e-2, 2e-2, 5e-2}) {
    CAPTURE(each);
    BatchSearch search(512, {256});
    CHECK(simulate(search, {fixed_and_each(10 * each, each)}).seconds <= BatchSearch::kBudget.count() + 0.3);
  }
}

TEST_CASE("each group gets its own batch and continues with it until the others have theirs") {
  BatchSearch search(512, {256, 256});
  const Outcome outcome = simulate(search, {best_at(8, 1e-4, 0.2), best_at(128, 1e-4, 0.2)});
  CHECK(search.choice(0) == 8);
  CHECK(search.choice(1) == 128);
  CHECK(tried(search, 0) == Sizes{4, 8, 16, 32});
  CHECK(tried(search, 1) == Sizes{4, 8, 16, 32, 64, 128, 256});
  CHECK(outcome.rounds.back().batches == Sizes{8, 256});
}

TEST_CASE("a group tries no larger batch than it may") {
  BatchSearch search(1024, {64, 1024});
  simulate(search, {fixed_and_each(1e-3, 0), fixed_and_each(1e-3, 0)});
  CHECK(search.choice(0) == 64);
  CHECK(search.choice(1) == 1024);
}

TEST_CASE("a group that is faster than the others is judged by its own time") {
  BatchSearch search(512, {256, 256});
  simulate(search, {best_at(16, 1e-6, 0.2), fixed_and_each(0, 1e-4)});
  CHECK(search.choice(0) == 16);
  CHECK(search.choice(1) == 4);
}

TEST_CASE("a group that never answers gets the smallest batch") {
  BatchSearch search(512, {256, 256});
  while (const auto round = search.next()) {
    const double seconds = best_at(16, 1e-4, 0.2)(round->batches[0]) * (round->images / round->batches[0]);
    search.add({Seconds(seconds), {Seconds(seconds), Seconds(0)}});
  }
  CHECK(search.choice(0) == 16);
  CHECK(search.choice(1) == 4);
  CHECK(search.speeds(1).empty());
}

TEST_CASE("if no member answers the search ends with the smallest batch") {
  BatchSearch search(512, {256});
  for (int rounds = 0; search.next(); ++rounds) {
    REQUIRE(rounds < 100);
    search.add({Seconds(0.05), {Seconds(0)}});
  }
  CHECK(search.choice(0) == 4);
}

TEST_CASE("a round that is skipped is done again and too many of them end its batch") {
  BatchSearch search(16, {256});
  const auto first = search.next();
  search.skip();
  REQUIRE(search.next());
  CHECK(search.next()->images == first->images);
  for (std::uint32_t i = 1; i < BatchSearch::kMostRounds; ++i) search.skip();
  CHECK_FALSE(search.next());
  CHECK(search.choice(0) == 4);
}

TEST_CASE("a group that may not try the smallest size is a failed check") {
  CHECK(failed_check([] { BatchSearch(512, {256, 2}); }).ends_with("every group may try the smallest size"));
}

TEST_CASE("with one candidate there is nothing to search") {
  const BatchSearch search(3, {256});
  CHECK_FALSE(search.next());
  CHECK(search.choice(0) == 3);
}

TEST_CASE("one size is measured for a given time and nothing else is tried") {
  BatchSearch search = BatchSearch::of_one(500, 4, 2, Seconds(0.1));
  const Outcome outcome = simulate(search, {fixed_and_each(0.001, 0.001), fixed_and_each(0.001, 0.002)});
  for (const BatchSearch::Round& round : outcome.rounds) {
    CHECK(round.batches == Sizes{4, 4});
    CHECK(round.images % 4 == 0);
  }
  CHECK(outcome.seconds >= 0.1);
  CHECK(outcome.seconds < 0.2);
  CHECK(search.choice(0) == 4);
  REQUIRE(search.speeds(0).size() == 1);
  CHECK(search.speeds(0)[0].images_per_second == doctest::Approx(4 / 0.005));
  CHECK(search.speeds(1)[0].images_per_second == doctest::Approx(4 / 0.009));
}

TEST_CASE("one size that is longer than a segment is the segment") {
  BatchSearch search = BatchSearch::of_one(10, 32, 1, Seconds(0.05));
  simulate(search, {fixed_and_each(0.001, 0.001)});
  CHECK(search.choice(0) == 10);
}

}  // namespace
}  // namespace tutti::test
