// The program with a member that has stages: what plan, run and the report say of it, what reads its run, and what is
// refused.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

const std::string kChain = R"(
members:
  - {name: a, stages: [{model: {kind: fake, classes: 7}, replicas: 2}, {model: {kind: fake, classes: 4}}]}
  - {name: b, model: {kind: fake, classes: 4}}
assignment: cpu
input: {dataset: random, count: 230, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
)";

TEST_CASE("the plan lists and draws the stages of a member") {
  const Workplace place(kChain);
  const Finished plan(place, {"plan", "e.yaml"});
  CAPTURE(plan.err());
  REQUIRE(plan.code == 0);
  CHECK(contains(plan.out(), "segments --+--> 2 workers on cpu: a/0 --> a worker on cpu: a/1 --+--> mean\n"));
  CHECK(plan.out().find("\na/0 ") < plan.out().find("\na/1 "));
  CHECK(plan.out().find("\na/1 ") < plan.out().find("\nb "));
  CHECK(contains(plan.out(), "channel of a/0: rings"));
  CHECK(contains(plan.out(), "a stage that dies computes again on what the stage before it has output"));
  const Finished dot(place, {"plan", "e.yaml", "--dot"});
  CHECK(contains(dot.out(), "  m2 -> m0;\n"));
  CHECK(contains(dot.out(), "  input -> m2;\n"));
  CHECK_FALSE(contains(dot.out(), "input -> m0"));
  CHECK_FALSE(contains(dot.out(), "m2 -> combine"));
}

TEST_CASE("a run with stages has the results of its members and a report that names the stages") {
  const Workplace place(kChain);
  const Finished run(place, {"run", "e.yaml", "output=here", "save_members=true", "--trace", "t.json"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  CHECK(place.has("here/members/a.npy"));
  CHECK(place.has("here/members/b.npy"));
  const json::value members = place.report("here").at("members");
  REQUIRE(members.as_array().size() == 2);
  CHECK(members.at(0).at("name") == "a");
  const json::array stages = members.at(0).at("stages").as_array();
  REQUIRE(stages.size() == 2);
  CHECK(stages.at(0).at("name") == "a/0");
  CHECK(stages.at(0).at("replicas").as_array().size() == 2);
  CHECK(stages.at(1).at("name") == "a/1");
  CHECK(stages.at(1).at("output") == json::array{4});
  CHECK(members.at(1).at("stages") == json::array{});
  CHECK(contains(place.read("t.json"), "a/0"));
  const Finished combined(place, {"combine", "here", "combine.rule=max"});
  CAPTURE(combined.err());
  CHECK(combined.code == 0);
}

TEST_CASE("stages are not trained and not compared and a stage that does not fit says so") {
  const Workplace place(kChain);
  const Finished training(place, {"train", "e.yaml"});
  CHECK(training.code == 2);
  CHECK(contains(training.err(), "a has 'stages', and is not trained"));
  const Finished missing(place, {"run", "e.yaml", "members.0.stages.1.model={kind: torchscript, path: no.pt}"});
  CHECK(missing.code == 2);
  CHECK(contains(missing.err(), "a/1: there is no readable file 'no.pt'"));
}

}  // namespace
}  // namespace tutti::test
