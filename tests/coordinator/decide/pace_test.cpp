// How fast a worker is, by its answers.
#include "coordinator/decide/pace.hpp"

#include <doctest/doctest.h>

namespace tutti::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a pace is known from the first answer on and follows what comes") {
  Pace pace;
  const Pace::Time start{10s};
  CHECK_FALSE(pace.segment().has_value());
  CHECK(pace.after(3, Pace::Seconds(2)) == Pace::Time{6s});  // nobody knows since when, either
  pace.begin(start);
  CHECK(pace.after(3, Pace::Seconds(2)) == start + 6s);
  pace.answered(start + 4s);
  CHECK(pace.segment() == Pace::Seconds(4));
  CHECK(pace.after(2, Pace::Seconds(1000)) == start + 12s);
  pace.answered(start + 12s);
  CHECK(pace.segment() == Pace::Seconds(5));  // a quarter of the way from 4 to 8
}

TEST_CASE("the time in which the coordinator was stopped does not count") {
  Pace pace;
  pace.begin(Pace::Time{0s});
  pace.stalled(Pace::Time{100s});
  pace.answered(Pace::Time{101s});
  CHECK(pace.segment() == Pace::Seconds(1));
}

}  // namespace
}  // namespace tutti::test
