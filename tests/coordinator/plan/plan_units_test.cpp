// Which members share a worker, and what it gets.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "tests/common/error_of.hpp"
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
  CHECK(plan.hosting().only_worker_of(2) == WorkerId(2));
}

TEST_CASE("a stage passes on what its kind outputs and nothing turns it into something else") {
  const std::string yaml =
      "members:\n"
      "  - {name: a, output: probabilities, stages: [{model: {kind: mlp, layers: [9]}}, {model: {kind: fake}}, "
      "{model: {kind: fake}}]}\n"
      "assignment: cpu\n";
  const Plan plan = make_plan(config::load_text(yaml, "test", {}), machine_of(2), {{3, 32, 32}, {}}, {});
  REQUIRE(plan.members.size() == 3);
  CHECK(plan.request_of(1).output == OutputKind::logits);  // an mlp has no other
  CHECK(plan.request_of(1).over == OutputKind::logits);
  CHECK(plan.request_of(2).output == OutputKind::values);
  CHECK(plan.request_of(2).over == OutputKind::values);
  CHECK(plan.request_of(0).output == OutputKind::probabilities);
}

TEST_CASE("steps go to the workers of the stage before them and decide what the next one takes") {
  const std::string yaml =
      "members:\n"
      "  - name: a\n"
      "    stages: [{model: {kind: fake, classes: 4, per_class: [8, 8]}}, {step: resize, resize: [5, 6]}, softmax,\n"
      "             {step: top_k, k: 2}, {model: {kind: fake, classes: 3}}, {step: normalize, std: 2}]\n"
      "  - {name: b, stages: [{model: {kind: fake, classes: 3}, replicas: 2}, softmax]}\n"
      "assignment: cpu\nbatch_images: 10\n";
  const Plan plan = make_plan(config::load_text(yaml, "test", {}), machine_of(4), {{3, 32, 32}, {}}, {});
  REQUIRE(plan.members.size() == 3);
  CHECK(plan.request_of(2).steps == std::vector<Step>{ResizeStep{{.rule = ResizeRule::exact, .height = 5, .width = 6}},
                                                      SoftmaxStep{}, TopKStep{2}});
  CHECK(plan.request_of(2).step_places == std::vector<std::string>{"test:3:68", "test:3:100", "test:4:14"});
  CHECK(plan.request_of(0).seen() == TensorLayout{Dtype::float32, {2, 5, 6}});
  CHECK(plan.request_of(0).steps == std::vector<Step>{NormalizeStep{.std = {2}}});
  CHECK(plan.request_of(0).output == OutputKind::logits);
  CHECK(plan.request_of(0).over == OutputKind::probabilities);
  CHECK(plan.request_of(1).name == "b");
  CHECK(plan.members[1].stage_of.empty());
  CHECK(plan.request_of(1).output == OutputKind::probabilities);
  CHECK(plan.hosting().workers_of(1).size() == 2);
  // Of a batch of 10, the maps before they are resized and those that the largest are taken of, and what resizing
  // needs.
  const auto bound = std::ranges::find_if(
      plan.bounds, [](const Bound& one) { return one.name.starts_with("steps behind a/0: the predictions of 10 "); });
  REQUIRE(bound != plan.bounds.end());
  CHECK(bound->bytes >= 10 * (4 * 8 * 8 + 4 * 5 * 6) * sizeof(float));
  CHECK(bound->bytes < 2 * 10 * (4 * 8 * 8 + 4 * 5 * 6) * sizeof(float));
}

TEST_CASE("the stages of a member have workers of their own and ranks behind all members") {
  const std::string yaml =
      "members:\n"
      "  - {name: a, stages: [{model: {kind: fake, classes: 7}, device: cpu:0}, {model: {kind: fake, classes: 5}, "
      "replicas: {cpu:1: 2}}, {model: {kind: fake, classes: 4}}]}\n"
      "  - {name: b, model: {kind: fake, classes: 4}}\n"
      "assignment: cpu\n";
  const Plan plan = make_plan(config::load_text(yaml, "test", {}), machine_of(4), {{3, 32, 32}, {}}, {});
  REQUIRE(plan.members.size() == 4);
  CHECK(plan.combined() == 2);
  CHECK(plan.weights.size() == 2);
  std::vector<std::string> names;
  for (const Rank rank : plan.in_order()) names.push_back(plan.request_of(rank).name);
  CHECK(names == std::vector<std::string>{"a/0", "a/1", "a/2", "b"});
  CHECK(plan.chains().chain_of(0) == std::vector<Rank>{2, 3, 0});
  CHECK(plan.request_of(2).fed_by.empty());
  CHECK(plan.request_of(2).seen().dims == Dims{3, 32, 32});
  CHECK(plan.request_of(2).over == plan.request_of(2).output);
  CHECK(plan.request_of(3).fed_by == "a/0");
  CHECK(plan.request_of(3).seen() == TensorLayout{Dtype::float32, {7}});
  CHECK(plan.request_of(0).fed_by == "a/1");
  CHECK(plan.request_of(0).over == OutputKind::probabilities);
  CHECK(plan.host_of(2).device == "cpu:0");
  CHECK(plan.hosting().workers_of(3).size() == 2);
  CHECK(plan.feeds_others(plan.host_of(3)));
  CHECK_FALSE(plan.feeds_others(plan.host_of(0)));
  CHECK_FALSE(plan.feeds_others(plan.host_of(1)));
  for (const char* bound : {"channel of a/0", "channel of a/1", "channel of a/2", "process of a/0"})
    CHECK(std::ranges::any_of(plan.bounds, [&](const Bound& one) { return one.name.starts_with(bound); }));
  Options options;
  options.training = true;
  const auto error = error_of([&] {
    make_plan(config::load_text(yaml, "test", {}), machine_of(4), {{3, 32, 32}, {}}, options);
  });
  REQUIRE(error);
  CHECK(error->message() == "a has 'stages', and is not trained");
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

TEST_CASE("replicas divide the cores of their device and compute with as many threads each") {
  const Plan plan = plan_of("cpu", machine_of(4), 2, "workers: [{members: [m1], device: 'cpu:0-3', replicas: 2}]\n");
  REQUIRE(plan.workers.size() == 3);
  CHECK(plan.workers[1].device == "cpu:0-1");
  CHECK(plan.workers[2].cores == std::vector<int>{2, 3});
  CHECK(plan.replicas_of(plan.workers[1]) == 2);
  CHECK(plan.hosting().workers_of(1) == std::vector<WorkerId>{1, 2});
  CHECK_FALSE(plan.one_worker_each());
  // Where they cannot be divided, all may use all of them.
  const Plan three = plan_of("cpu", machine_of(4), 1, "workers: [{members: [m0], device: 'cpu:0-3', replicas: 3}]\n");
  for (const WorkerPlan& worker : three.workers) CHECK(worker.cores == std::vector<int>{0, 1, 2, 3});
  CHECK(three.members[0].request.threads == 1);
}

TEST_CASE("replicas on devices of different sizes compute with the threads of the smallest") {
  const Plan plan =
      plan_of("cpu", machine_of(4), 1, "workers: [{members: [m0], replicas: {'cpu:0-2': 1, 'cpu:3': 1}}]\n");
  REQUIRE(plan.workers.size() == 2);
  CHECK(plan.members[0].request.threads == 1);
  for (const WorkerPlan& worker : plan.workers) CHECK(variable(worker, "OMP_NUM_THREADS") == "1");
}

TEST_CASE("a device that a replica cannot have is named") {
  const auto error = error_of(
      [] { plan_of("cpu", machine_of(2), 1, "workers: [{members: [m0], replicas: {'cpu:0': 1, 'cpu:7': 1}}]\n"); });
  REQUIRE(error);
  CHECK(error->message() == "m0: core 7 does not exist; usable: cpu:0-1");
}

TEST_CASE("replicas on GPUs of two models must be wanted") {
  const auto plan_with = [](const std::string& more) {
    return plan_of("null", with_gpus(machine_of(2)), 1,
                   "workers: [{members: [m0], replicas: {'cuda:0': 1, 'cuda:1': 1}" + more + "}]\n");
  };
  const auto error = error_of([&] { plan_with(""); });
  REQUIRE(error);
  CHECK(error->message() ==
        "m0: its replicas are on cuda:0 (H200) and on cuda:1 (L4), which compute different last bits; 'same_bits: off' "
        "accepts that");
  const Plan plan = plan_with(", same_bits: off");
  REQUIRE(plan.workers.size() == 2);
  CHECK(plan.workers[1].cuda);
  CHECK_FALSE(plan.workers[1].same_bits);
  CHECK_FALSE(plan.members[0].request.cuda);
}

TEST_CASE("fewer slots than keep replicas busy are a note") {
  const auto notes_with = [](const std::string& slots) {
    return plan_of("cpu", machine_of(4), 1, "workers: [{members: [m0], replicas: 3}]\n" + slots).notes;
  };
  const auto notes = notes_with("slots: 3\n");
  CHECK(std::ranges::count(notes,
                           "replicas of m0 will wait for each other: there are 3 of them and 3 slots; 'slots: 8' "
                           "keeps them busy") == 1);
  CHECK(notes_with("").empty());
}

TEST_CASE("members learn in one worker each or in the one that they share and never as one network") {
  Options options;
  options.training = true;
  const auto plans_with = [&](const std::string& workers) {
    const auto spec = config::load_text(
        "members: [{name: a, model: {kind: small-cnn}}, {name: b, model: {kind: small-cnn}}]\nassignment: cpu\n"
        "workers: [" +
            workers + "]\n",
        "test");
    const Plan plan = make_plan(spec, machine_of(2), {{3, 32, 32}, {}}, options);
    CHECK(plan.may_learn());
    return std::pair(plan, make_plan(spec, machine_of(2), {{3, 32, 32}, {}}, {}));
  };
  const auto [fused, of_prediction] = plans_with("{members: [a, b], mode: fused}");
  REQUIRE(fused.workers.size() == 1);
  CHECK(fused.workers[0].mode == UnitMode::loop);
  CHECK(of_prediction.workers[0].mode == UnitMode::fused);
  CHECK_FALSE(of_prediction.may_learn());
  const auto [threads, of_threads] = plans_with("{members: [a, b], mode: threads}");
  CHECK(threads.workers[0].mode == UnitMode::threads);
  CHECK(of_threads.may_learn());
  const auto [replicated, of_replicas] = plans_with("{members: [b], replicas: {'cpu:1': 2, 'cpu:0': 1}}");
  REQUIRE(replicated.workers.size() == 2);
  CHECK(replicated.workers[1].device == "cpu:1");
  CHECK(of_replicas.workers.size() == 4);
  CHECK_FALSE(of_replicas.may_learn());
}

}  // namespace
}  // namespace tutti::test
