// Workers that hold more memory than `max_memory`: they are replaced between segments, and no byte changes.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>

#include "tests/common/error_of.hpp"
#include "tests/common/sanitized.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

/// Shadow memory counts, too.
bool skipped() {
  if (kSanitized) std::puts("SKIPPED: a sanitizer holds memory itself");
  return kSanitized;
}

/// Two members over 5 segments of 20 images; `faults` are those of the first.
std::string ensemble(const std::string& faults, const std::string& more = {}) {
  return fmt::format(R"(
members:
  - {{name: a, model: {{kind: fake, classes: 4, faults: [{}]}}, max_memory: 200 MB}}
  - {{name: b, model: {{kind: fake, classes: 4}}, max_memory: 200 MB}}
assignment: cpu
input: {{dataset: random, count: 100, shape: [1, 4, 4], classes: 4, seed: 3}}
segment_images: 20
batch_images: 8
{})",
                     faults, more);
}

TEST_CASE("a worker that leaks in every segment is replaced after each and no byte changes") {
  if (skipped()) return;
  const Workplace place(ensemble(""));
  const Finished whole(place, {"run", "e.yaml", "output=whole"});
  REQUIRE(whole.code == 0);
  CHECK_FALSE(contains(whole.err(), "max_memory"));
  place.write("e.yaml", ensemble("{kind: leak}", "restarts: {limit: off, back_off_s: 0.001}\n"));
  const Finished leaking(place, {"run", "e.yaml", "output=leaking"});
  REQUIRE(leaking.code == 0);
  CHECK(contains(leaking.err(), "a on cpu failed before segment 1: the worker holds "));
  CHECK(contains(leaking.err(), " MB, more than 'max_memory' (200.0 MB); replacement started"));
  CHECK_FALSE(contains(leaking.err(), "set aside"));
  CHECK(different_results(place, "whole", "leaking").empty());
}

TEST_CASE("a leak that uses up the restarts ends the run with what to raise") {
  if (skipped()) return;
  const Workplace place(ensemble("{kind: leak}", "restarts: {limit: 1}\n"));
  const Finished run(place, {"run", "e.yaml"});
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "more than 'max_memory' (200.0 MB)"));
  CHECK(contains(run.err(), "raise 'max_memory' of the member"));
}

TEST_CASE("a member that needs more than its bound when it is loaded is refused") {
  if (skipped()) return;
  const Workplace place(ensemble("{kind: leak, phase: load}"));
  const Finished run(place, {"run", "e.yaml"});
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "a on cpu failed while starting: the worker holds "));
}

TEST_CASE("the bounds of members that share a worker add up") {
  if (skipped()) return;
  const Workplace place(ensemble("{kind: leak}", "workers: [{members: [a, b]}]\n"));
  const Finished run(place, {"run", "e.yaml"});
  CHECK(run.code == 0);
  CHECK_FALSE(contains(run.err(), "max_memory"));
}

}  // namespace
}  // namespace tutti::test
