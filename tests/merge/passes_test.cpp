// Tests of passes: every index once, results in order, and the first exception.
#include "merge/passes.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace tutti::merge {
namespace {

TEST_CASE("every index is worked on once and delivered in order by the thread that did it") {
  for (const unsigned threads : {1U, 4U}) {
    std::vector<std::atomic<int>> worked(1000);
    std::vector<unsigned> by(1000);
    std::vector<std::size_t> delivered;
    run_pass(
        worked.size(), threads,
        [&](std::size_t index, unsigned thread) {
          ++worked[index];
          by[index] = thread;
          CHECK(thread < threads);
        },
        [&](std::size_t index, unsigned thread) {
          CHECK(by[index] == thread);
          delivered.push_back(index);
        });
    REQUIRE(delivered.size() == worked.size());
    for (std::size_t i = 0; i < worked.size(); ++i) {
      CHECK(worked[i] == 1);
      CHECK(delivered[i] == i);
    }
  }
}

TEST_CASE("a pass over nothing does nothing") {
  run_pass(
      0, 4, [](std::size_t, unsigned) { FAIL("there is no work"); },
      [](std::size_t, unsigned) { FAIL("there is no work"); });
}

TEST_CASE("an exception of the work or of the delivery ends a pass") {
  for (const bool in_work : {true, false})
    for (const unsigned threads : {1U, 3U}) {
      std::size_t delivered = 0;
      const auto fail_at = [](std::size_t index, bool here) {
        if (here && index == 5) throw std::runtime_error("five");
      };
      CHECK_THROWS_WITH_AS(run_pass(
                               1000, threads, [&](std::size_t index, unsigned) { fail_at(index, in_work); },
                               [&](std::size_t index, unsigned) {
                                 fail_at(index, !in_work);
                                 ++delivered;
                               }),
                           "five", std::runtime_error);
      CHECK(delivered <= 5);
    }
}

}  // namespace
}  // namespace tutti::merge
