// The program with a member whose stages make several rows of a sample: what plan and run say, a run that is resumed, and
// the example.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

const std::string kRows = R"(
members:
  - name: a
    stages:
      - {model: {kind: fake, classes: 6, per_class: [5]}}
      - {step: crop_boxes, max: 3, above: 1, channels: 1, resize: [2, 2]}
      - {model: {kind: fake, classes: 4}}
      - {step: reduce}
  - {name: b, model: {kind: fake, classes: 4}}
assignment: cpu
input: {dataset: random, count: 230, shape: [1, 6, 6], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
)";

TEST_CASE("the plan says how many rows a sample may have") {
  const Workplace place(kRows);
  const Finished plan(place, {"plan", "e.yaml"});
  CAPTURE(plan.err());
  REQUIRE(plan.code == 0);
  CHECK(contains(plan.out(), "a worker on cpu: a/0, then crop_boxes --> a worker on cpu: a/1, then reduce --+"));
  CHECK(contains(plan.out(), "steps behind a/0, in its workers: crop_boxes (max 3, above 1, channels 1, 2x2, bicubic)\n"));
  CHECK(contains(plan.out(), "rows of a/1: up to 3 for each sample, in batches of 8\n"));
  CHECK(contains(plan.out(), "of up to 3 rows for each image"));
  CHECK(contains(plan.out(), "rows of a/1 before they are reduced: 60 rows x 4 values"));
}

TEST_CASE("a run with rows that was cut short resumes to the same bytes and not with other crops") {
  const Workplace place(kRows);
  const Finished whole(place, {"run", "e.yaml", "-q", "output=whole", "save_members=true"});
  CAPTURE(whole.err());
  REQUIRE(whole.code == 0);
  const json::value member = place.report("whole").at("members").at(0);
  CHECK(member.at("steps") == json::array{"reduce (by mean, empty 0)"});
  CHECK(member.at("stages").at(0).at("output") == json::array{1, 2, 2});
  const std::vector<std::string> cut{"run", "e.yaml", "-q", "output=cut", "save_members=true", "slots=1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), cut.begin(), cut.end());
    return more;
  };
  const Finished part(place, with({"on_worker_failure=fail",
                                   "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 9}]"}));
  REQUIRE(part.code == 1);
  const Finished other(place, with({"--resume", "members.0.stages.1.max=2"}));
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "members.0.stages.1.max: was 3, now 2"));
  const Finished resumed(place, with({"--resume"}));
  CAPTURE(resumed.err());
  REQUIRE(resumed.code == 0);
  CHECK(place.report("cut").at_pointer("/finished/resumed").as_int64() > 0);
  CHECK(different_results(place, "cut", "whole") == std::vector<std::string>{});
}

TEST_CASE("a run in which a worker writes nonsense about its rows has the same bytes and says so") {
  const Workplace place(kRows);
  const Finished whole(place, {"run", "e.yaml", "-q", "output=whole", "save_members=true"});
  REQUIRE(whole.code == 0);
  const Finished faulty(place, {"run", "e.yaml", "output=faulty", "save_members=true",
                                "members.0.stages.0.model.faults=[{kind: nonsense, phase: predict, at_batch: 10}]"});
  CAPTURE(faulty.err());
  REQUIRE(faulty.code == 0);
  CHECK(contains(faulty.err(), "a/0 on cpu broke the protocol: the index of its rows of segment "));
  CHECK(place.report("faulty").at_pointer("/faults/violations").as_int64() > 0);
  CHECK(different_results(place, "faulty", "whole") == std::vector<std::string>{});
}

}  // namespace
}  // namespace tutti::test
