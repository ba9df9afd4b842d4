// The program with a member in shards: what plan says of it, and a run that is resumed.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

const std::string kCutMembers = R"(
members:
  - {name: cut, model: {kind: mlp, layers: [32, 16, 8, 4]}, seed: 1, shards: {cut: [1, 2]}}
  - {name: whole, model: {kind: mlp, layers: [32, 16, 8, 4]}, seed: 1}
  - {name: fake, model: {kind: fake, classes: 4}}
assignment: cpu
threads: 1
input: {dataset: random, count: 230, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
save_members: true
)";

TEST_CASE("the plan says which layers each shard has and what they weigh") {
  const Workplace place(kCutMembers);
  const Finished plan(place, {"plan", "e.yaml"});
  CAPTURE(plan.err());
  REQUIRE(plan.code == 0);
  CHECK(contains(plan.out(), "shard cut/0: layer 0\nshard cut/1: layer 1\nshard cut/2: layer 2 to the last\n"));
  CHECK(contains(plan.out(), "a worker on cpu: cut/0 --> a worker on cpu: cut/1 --> a worker on cpu: cut/2"));
  CHECK(contains(plan.out(), "2.2 kB  model of cut/0: the weights of layer 0\n"));
  CHECK_FALSE(contains(plan.out(), "shard whole"));
}

TEST_CASE("a member in shards has the predictions of the whole and resumes to the same bytes") {
  const Workplace place(kCutMembers);
  const Finished whole(place, {"run", "e.yaml", "-q", "output=whole"});
  CAPTURE(whole.err());
  REQUIRE(whole.code == 0);
  CHECK(place.read("whole/members/cut.npy") == place.read("whole/members/whole.npy"));
  CHECK(place.report("whole").at_pointer("/members/0/stages").as_array().size() == 3);
  const std::vector<std::string> cut{"run", "e.yaml", "-q", "output=cut", "slots=1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), cut.begin(), cut.end());
    return more;
  };
  const Finished part(
      place, with({"on_worker_failure=fail", "members.2.model.faults=[{kind: kill, phase: predict, at_batch: 9}]"}));
  REQUIRE(part.code == 1);
  const Finished other(place, with({"--resume", "members.0.shards={cut: [2]}"}));
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "part"));
  const Finished resumed(place, with({"--resume"}));
  CAPTURE(resumed.err());
  REQUIRE(resumed.code == 0);
  CHECK(place.report("cut").at_pointer("/finished/resumed").as_int64() > 0);
  CHECK(different_results(place, "cut", "whole") == std::vector<std::string>{});
}

TEST_CASE("shards are not trained") {
  const Workplace place(kCutMembers);
  const Finished training(place, {"train", "e.yaml"});
  CHECK(training.code == 2);
  CHECK(contains(training.err(), "cut has 'shards', and is not trained"));
}

}  // namespace
}  // namespace tutti::test
