// How much of a comparison fits into its time.
#include "bench/comparison/time_bound.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace tutti::bench {
namespace {

Workload work(double seconds_per_image) { return {seconds_per_image, 6000, 500, 32, 5}; }

TEST_CASE("everything is done if it fits") {
  const Rounds all = rounds_that_fit(work(0.001), 36);  // a pass takes 6 s, and one more is not timed
  CHECK(all.images == 6000);
  CHECK(all.rounds == 5);
  CHECK(all.seconds == doctest::Approx(36));
  CHECK(rounds_that_fit(work(1), std::numeric_limits<double>::infinity()).rounds == 5);
  CHECK(rounds_that_fit(work(0), -1).images == 6000);
}

TEST_CASE("rounds are left out first and then images in whole segments or batches") {
  CHECK(rounds_that_fit(work(0.001), 31).rounds == 4);
  CHECK(rounds_that_fit(work(0.001), 24).rounds == 3);
  const Rounds fewer = rounds_that_fit(work(0.001), 23);
  CHECK(fewer.rounds == 3);
  CHECK(fewer.images == 5500);
  CHECK(rounds_that_fit(work(0.01), 23).images == 500);
  CHECK(rounds_that_fit(work(0.1), 23).images == 32);
  CHECK(rounds_that_fit(work(0.1), -5).images == 32);  // the least that can be measured
  Workload one = work(0.1);
  one.repeats = 1;
  CHECK(rounds_that_fit(one, 100).rounds == 1);
  one.images = 10;
  CHECK(rounds_that_fit(one, 0).images == 10);
}

TEST_CASE("settings are tried on two segments or on what takes two seconds") {
  CHECK(images_to_try(work(0)) == 1000);
  CHECK(images_to_try(work(0.001)) == 1000);
  CHECK(images_to_try(work(0.01)) == 192);
  CHECK(images_to_try(work(10)) == 32);
}

}  // namespace
}  // namespace tutti::bench
