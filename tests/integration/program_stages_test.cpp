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

const std::string kSteps = R"(
members:
  - name: a
    stages:
      - {model: {kind: fake, classes: 7}}
      - softmax
      - {step: top_k, k: 5}
      - {model: {kind: fake, classes: 4}}
      - {step: normalize, std: 2}
  - {name: b, stages: [{model: {kind: fake, classes: 4}}, softmax]}
assignment: cpu
input: {dataset: random, count: 230, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
)";

TEST_CASE("the plan lists and draws steps in the workers that compute them") {
  const Workplace place(kSteps);
  const Finished plan(place, {"plan", "e.yaml"});
  CAPTURE(plan.err());
  REQUIRE(plan.code == 0);
  CHECK(contains(plan.out(), "a worker on cpu: a/0, then softmax, top_k --> a worker on cpu: a/1, then normalize --+"));
  CHECK(contains(plan.out(), "+--> a worker on cpu: b, then softmax --"));
  CHECK(contains(plan.out(), "steps behind a/0, in its workers: softmax, top_k (k 5, give values)\n"));
  CHECK(contains(plan.out(), "steps behind b, in its workers: softmax\n"));
  CHECK(contains(plan.out(), "steps behind a/0: the predictions of 8 samples before those that change their size"));
  CHECK_FALSE(contains(plan.out(), "steps behind a/1: "));
  const Finished dot(place, {"plan", "e.yaml", "--dot"});
  CHECK(contains(dot.out(), "    m2_0 [shape=ellipse, label=\"softmax\"];\n    m2 -> m2_0;\n"));
  CHECK(contains(dot.out(), "    m2_0 -> m2_1;\n"));
  CHECK(contains(dot.out(), "  m2_1 -> m0;\n"));
  CHECK(contains(dot.out(), "  m0_0 -> combine;\n"));
  CHECK(contains(dot.out(), "  m1_0 -> combine;\n"));
  CHECK_FALSE(contains(dot.out(), "  m2 -> m0;\n"));
}

TEST_CASE("a run with steps that was cut short resumes to the same bytes and not with other steps") {
  const Workplace place(kSteps);
  const Finished whole(place, {"run", "e.yaml", "-q", "output=whole", "save_members=true"});
  CAPTURE(whole.err());
  REQUIRE(whole.code == 0);
  const json::value member = place.report("whole").at("members").at(0);
  CHECK(member.at("steps") == json::array{"normalize (std 2)"});
  CHECK(member.at("stages").at(0).at("steps") == json::array{"softmax", "top_k (k 5, give values)"});
  CHECK(member.at("stages").at(0).at("output") == json::array{5});
  const std::vector<std::string> cut{"run", "e.yaml", "-q", "output=cut", "save_members=true", "slots=1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), cut.begin(), cut.end());
    return more;
  };
  const Finished part(place, with({"on_worker_failure=fail",
                                   "members.1.stages.0.model.faults=[{kind: kill, phase: predict, at_batch: 9}]"}));
  REQUIRE(part.code == 1);
  const Finished other(place, with({"--resume", "members.0.stages.2.k=4"}));
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "members.0.stages.2.k: was 5, now 4"));
  const Finished resumed(place, with({"--resume"}));
  CAPTURE(resumed.err());
  REQUIRE(resumed.code == 0);
  CHECK(place.report("cut").at_pointer("/finished/resumed").as_int64() > 0);
  CHECK(different_results(place, "cut", "whole") == std::vector<std::string>{});
}

TEST_CASE("a step that does not fit what a file outputs says where it is written before anything is predicted") {
  const Workplace place(kSteps);
  const Finished early(place, {"validate", "e.yaml", "members.0.stages.2.k=8"});
  CHECK(early.code == 2);
  CHECK(contains(early.err(), "behind 'a/0', step 'top_k' does not fit outputs of 7: there are not 8 values"));
}

TEST_CASE("a run that did not wait for a slow chain computes what lacks it when it is resumed") {
  const Workplace place(kChain);
  const std::vector<std::string> slow{"run", "e.yaml", "-q", "save_members=true",
                                      "members.0.stages.1.model.delay_us=5000"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), slow.begin(), slow.end());
    return more;
  };
  const Finished whole(place, with({"output=whole"}));
  CAPTURE(whole.err());
  REQUIRE(whole.code == 0);
  const Finished hasty(place, with({"output=hasty", "quorum=1"}));
  CAPTURE(hasty.err());
  REQUIRE(hasty.code == 3);
  CHECK(contains(hasty.err(), "it was not waited for ('quorum')"));
  CHECK(place.report("hasty").at_pointer("/faults/not_waited_for").as_int64() > 0);
  const Finished resumed(place, with({"output=hasty", "--resume", "quorum=null"}));
  CAPTURE(resumed.err());
  REQUIRE(resumed.code == 0);
  CHECK(different_results(place, "hasty", "whole") == std::vector<std::string>{});
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
