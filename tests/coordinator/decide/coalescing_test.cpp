// Which small calls share a segment, and when it is closed, step by step under a made-up clock.
#include "coordinator/decide/coalescing.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "common/random.hpp"

namespace tutti::test {
namespace {

using Calls = std::vector<Coalescing::Call>;
using std::chrono::microseconds;

Coalescing::Time after_us(int microsecond) { return Coalescing::Time{} + microseconds(microsecond); }

TEST_CASE("a call that comes to an idle pool does not wait") {
  Coalescing coalescing(8, microseconds(100));
  CHECK(coalescing.close(after_us(0), true).empty());
  coalescing.add(1, 1, 0, after_us(0));
  CHECK(coalescing.close(after_us(0), true) == Calls{1});
  CHECK(coalescing.close(after_us(0), true).empty());
  CHECK_FALSE(coalescing.next_wake().has_value());
}

TEST_CASE("a segment is closed when it is full") {
  Coalescing coalescing(8, microseconds(100));
  coalescing.add(1, 3, 0, after_us(0));
  coalescing.add(2, 4, 0, after_us(1));
  CHECK(coalescing.close(after_us(1), false).empty());
  SUBCASE("to the last row") {
    coalescing.add(3, 1, 0, after_us(2));
    CHECK(coalescing.close(after_us(2), false) == Calls{1, 2, 3});
  }
  SUBCASE("so that the next does not fit") {
    coalescing.add(3, 2, 0, after_us(2));
    coalescing.add(4, 1, 0, after_us(3));  // would fit, but does not overtake
    CHECK(coalescing.close(after_us(3), false) == Calls{1, 2});
    CHECK(coalescing.close(after_us(3), false).empty());
    CHECK(coalescing.close(after_us(3), true) == Calls{3, 4});
  }
}

TEST_CASE("the priority of the next segment is that of its first call") {
  Coalescing coalescing(8, microseconds(100));
  CHECK_FALSE(coalescing.priority().has_value());
  coalescing.add(1, 8, 3, after_us(0));
  CHECK(coalescing.priority() == 3);
  coalescing.add(2, 8, 5, after_us(1));
  CHECK(coalescing.priority() == 5);
  coalescing.close(after_us(2), false);
  CHECK(coalescing.priority() == 3);
}

TEST_CASE("a segment is closed when its first call has waited long enough") {
  Coalescing coalescing(8, microseconds(100));
  coalescing.add(1, 1, 0, after_us(10));
  coalescing.add(2, 1, 0, after_us(60));
  CHECK(coalescing.next_wake() == after_us(110));
  CHECK(coalescing.close(after_us(109), false).empty());
  CHECK(coalescing.close(after_us(110), false) == Calls{1, 2});
  coalescing.add(3, 1, 0, after_us(120));
  CHECK(coalescing.next_wake() == after_us(220));
  Coalescing hasty(8, microseconds(0));
  hasty.add(1, 1, 0, after_us(5));
  CHECK(hasty.close(after_us(5), false) == Calls{1});
}

TEST_CASE("calls of a higher priority come first and make no other wait longer than it should") {
  Coalescing coalescing(4, microseconds(100));
  coalescing.add(1, 2, 0, after_us(0));
  coalescing.add(2, 2, 5, after_us(10));
  coalescing.add(3, 2, 5, after_us(20));
  CHECK(coalescing.next_wake() == after_us(100));
  CHECK(coalescing.close(after_us(20), false) == Calls{2, 3});
  CHECK(coalescing.close(after_us(99), false).empty());
  CHECK(coalescing.close(after_us(100), false) == Calls{1});
}

TEST_CASE("a call that is given up leaves its room to others") {
  Coalescing coalescing(4, microseconds(100));
  coalescing.add(1, 3, 0, after_us(0));
  coalescing.add(2, 2, 0, after_us(1));
  CHECK(coalescing.remove(1));
  CHECK_FALSE(coalescing.remove(1));
  CHECK(coalescing.next_wake() == after_us(101));
  CHECK(coalescing.close(after_us(1), false).empty());
  coalescing.add(3, 2, 0, after_us(2));
  CHECK(coalescing.close(after_us(2), false) == Calls{2, 3});
}

TEST_CASE("calls without rows and those that do not fit share no segment") {
  const Coalescing coalescing(4, microseconds(100));
  CHECK_FALSE(coalescing.takes(0));
  CHECK(coalescing.takes(1));
  CHECK(coalescing.takes(4));
  CHECK_FALSE(coalescing.takes(5));
}

TEST_CASE("whatever comes every call is in one segment in time and none overtakes another of its priority") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    constexpr std::uint32_t kRoom = 16;
    Coalescing coalescing(kRoom, microseconds(50));
    struct Added {
      std::uint32_t rows;
      int priority;
      int since;
    };
    std::map<Coalescing::Call, Added> waiting;
    std::uint64_t n = 0;
    const auto draw = [&](std::uint64_t below) { return random_at(seed, n++) % below; };
    for (int now = 0; now < 2000; ++now) {
      if (draw(3) == 0) {
        const Added added{static_cast<std::uint32_t>(1 + draw(kRoom)), static_cast<int>(draw(3)), now};
        coalescing.add(n, added.rows, added.priority, after_us(now));
        waiting.emplace(n, added);
      }
      if (!waiting.empty() && draw(20) == 0) {
        CHECK(coalescing.remove(waiting.begin()->first));
        waiting.erase(waiting.begin());
      }
      for (Calls calls; !(calls = coalescing.close(after_us(now), draw(10) == 0)).empty();) {
        std::uint32_t rows = 0;
        for (const Coalescing::Call call : calls) {
          const Added added = waiting.at(call);
          rows += added.rows;
          waiting.erase(call);
          for (const auto& [other, left] : waiting)
            if (left.priority == added.priority) CHECK(other > call);
        }
        CHECK(rows <= kRoom);
      }
      for (const auto& [call, left] : waiting) CHECK(now - left.since < 50);
      CHECK(coalescing.next_wake().has_value() == !waiting.empty());
    }
  }
}

}  // namespace
}  // namespace tutti::test
