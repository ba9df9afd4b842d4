// What counts as the time of a batch. How deadlines use it is tested with the supervisor (supervisor_slow_test.cpp).
#include "coordinator/decide/progress_clock.hpp"

#include <doctest/doctest.h>

namespace tutti::test {
namespace {

using Seconds = ProgressClock::Seconds;

ProgressClock::Time at(int seconds) { return ProgressClock::Time(std::chrono::seconds(seconds)); }

TEST_CASE("the slowest batch is remembered once no stall was found") {
  ProgressClock clock;
  clock.begin(at(0));
  clock.look(1, true, at(2));
  clock.look(3, true, at(4));
  CHECK(clock.slowest() == Seconds(0));
  clock.confirm();
  CHECK(clock.slowest() == Seconds(2));
}

TEST_CASE("a count that is seen only after the work ended does not make the idle time a batch") {
  ProgressClock clock;
  clock.begin(at(0));
  clock.look(1, true, at(1));
  clock.answered(at(2));
  clock.look(2, false, at(100));
  clock.confirm();
  CHECK(clock.slowest() == Seconds(1));
}

TEST_CASE("a counter that goes back is a sign of life and no batch") {
  ProgressClock clock;
  clock.begin(at(0));
  clock.look(5, true, at(5));
  clock.look(2, true, at(50));
  clock.confirm();
  CHECK(clock.slowest() == Seconds(1));
  CHECK(clock.since() == at(50));
}

}  // namespace
}  // namespace tutti::test
