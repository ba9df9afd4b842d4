// Which members share a worker, and what it gets.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "config/load.hpp"
#include "tests/coordinator/plan/plans.hpp"

namespace tutti::test {
namespace {

TEST_CASE("members that are named together are one worker with a share of its cores") {
  const Machine machine = machine_of(4);
  const Plan plan = plan_of("cpu", machine, 4, "workers: [{members: [m3, m1], device: 'cpu:0-1'}]\n");
  REQUIRE(plan.workers.size() == 3);
  CHECK(plan.workers[0].members == std::vector<Rank>{0});
  CHECK(plan.workers[1].members == std::vector<Rank>{1, 3});
  CHECK(plan.workers[1].cores == std::vector<int>{0, 1});
  CHECK(plan.workers[2].members == std::vector<Rank>{2});
  CHECK(plan.name_of(plan.workers[1]) == "m1+m3");
  CHECK(plan.host_of(3).device == "cpu:0-1");
  CHECK(plan.hosting().seat_of(3) == Seat(1));
  CHECK(plan.hosting().worker_of(2) == WorkerId(2));
}

TEST_CASE("the threads of a worker are divided among members that compute at the same time") {
  const auto threads = [](const std::string& mode) {
    const Plan plan = plan_of("'cpu:0-3'", machine_of(4), 2, "workers: [{members: [m0, m1], mode: " + mode + "}]\n");
    CHECK(variable(plan.workers[0], "OMP_NUM_THREADS") == std::to_string(plan.members[1].request.threads));
    return plan.members[0].request.threads;
  };
  CHECK(threads("loop") == 4);
  CHECK(threads("threads") == 2);
}

TEST_CASE("while members learn each has a worker of its own whatever the description says") {
  Options options;
  options.training = true;
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: small-cnn}}, {name: b, model: {kind: small-cnn}}]\nassignment: cpu\n"
      "workers: [{members: [a, b]}]\n",
      "test");
  CHECK(make_plan(spec, machine_of(1), {{3, 32, 32}, {}}, options).workers.size() == 2);
  CHECK(make_plan(spec, machine_of(1), {{3, 32, 32}, {}}, {}).workers.size() == 1);
}

}  // namespace
}  // namespace tutti::test
