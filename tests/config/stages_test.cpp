// `stages` of a member: what is read, written and refused.
#include "config/stages.hpp"

#include <doctest/doctest.h>

#include "config/load.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

/// A member with these keys besides its name, and one without stages; then these lines.
std::string with_keys(const std::string& keys, const std::string& lines = {}) {
  return "members:\n"
         "  - {name: m, " +
         keys +
         "}\n"
         "  - {name: n, model: {kind: fake}}\n" +
         lines;
}

config::EnsembleSpec load_member(const std::string& keys, const std::string& lines = {}) {
  return config::load_text(with_keys(keys, lines), "e.yaml", {{}, {}}, {});
}

std::string problem_of_keys(const std::string& keys, const std::string& lines = {}) {
  const auto error = error_of([&] { load_member(keys, lines); });
  return error ? error->detail().empty() ? error->message() : error->detail() : "nothing";
}

constexpr const char* kTwo = "stages: [{model: {kind: fake, classes: 3}}, {model: {kind: fake}}]";

TEST_CASE("the last of several stages is the model of its member") {
  const auto spec = load_member(
      "stages: [{model: {kind: fake, classes: 3}, device: cpu:0, replicas: 2}, {model: {kind: fake, classes: 5}}, "
      "{model: {kind: fake}, replicas: {'cpu:0': 1, 'cpu:1': 2}}]",
      "assignment: {m: cpu:1, n: cpu}\n");
  const config::MemberSpec& member = spec.members[0];
  REQUIRE(member.before.size() == 2);
  CHECK(std::get<FakeModel>(member.before[0].model.kind).classes == 3);
  CHECK(config::to_text(member.before[0].device) == "cpu:0");
  CHECK(member.before[0].workers.replicas == 2);
  CHECK(config::to_text(member.before[1].device) == "cpu:1");
  CHECK(std::get<FakeModel>(member.model.kind).classes == 10);
  CHECK(config::to_text(member.device) == "cpu:0");
  CHECK(member.last.replicas == 3);
  CHECK(spec.slots == 12);
  CHECK(spec.members[1].before.empty());
}

TEST_CASE("many replicas get many slots but not more than may be written") {
  const auto of = [](const std::string& first, const std::string& last) {
    const auto spec = load_member("stages: [{model: {kind: fake}, replicas: " + first +
                                  "}, {model: {kind: fake}, replicas: " + last + "}]");
    CHECK(config::load_text(spec.effective_yaml, "effective", {{}, {}}, {}).slots == spec.slots);
    return spec.slots;
  };
  CHECK(of("20", "13") == 66);
  CHECK(of("64", "60") == 248);
  CHECK(of("64", "64") == config::kMaxSlots);
  CHECK(of("64}, {model: {kind: fake}, replicas: 2", "64") == config::kMaxSlots);
}

TEST_CASE("stages need no place in the assignment") {
  const auto spec = load_member(kTwo, "assignment: {n: cpu:1}\n");
  CHECK(config::to_text(spec.members[0].device) == "null");
  CHECK(config::to_text(spec.members[0].before[0].device) == "null");
  CHECK(config::to_text(load_member(kTwo, "assignment: cpu:1\n").members[0].before[0].device) == "cpu:1");
}

TEST_CASE("a device for a member all of whose stages name one is refused instead of ignored") {
  const std::string keys =
      "stages: [{model: {kind: fake}, device: cpu:0}, {model: {kind: fake}, replicas: {cpu:1: 2}}]";
  const std::string why =
      "member 'm' is assigned cpu:1, but each of its 'stages' names a device of its own; change these, or leave 'm' "
      "out";
  CHECK(problem_of_keys(keys, "assignment: {m: cpu:1, n: cpu}\n") == "e.yaml:4:13: " + why);
  const auto error = error_of([&] { config::load_text(with_keys(keys), "e.yaml", {{}, {"m=cpu:1"}}, {}); });
  REQUIRE(error);
  CHECK(contains(error->what(), "command line: '--assign': " + why));
  CHECK(problem_of_keys(keys, "assignment: {n: cpu}\n") == "nothing");
  CHECK(problem_of_keys(keys, "assignment: cpu:1\n") == "nothing");
  CHECK(problem_of_keys(keys, "assignment: [cpu:1, cpu]\n") == "nothing");
}

TEST_CASE("what the description in effect says of stages is read back as the same") {
  for (const char* keys : {kTwo,
                           "stages: [{model: {kind: fake}, device: cpu:1}, {model: {kind: mlp, layers: [10]}, "
                           "replicas: {cpu:0: 2}}], input: {mean: [0.5]}"}) {
    const auto spec = load_member(keys, "assignment: {n: cpu:1}\n");
    const auto again = config::load_text(spec.effective_yaml, "effective", {{}, {}}, {});
    CHECK(again.members == spec.members);
    CHECK(again.effective_yaml == spec.effective_yaml);
  }
}

TEST_CASE("stages that make no sense are refused with their position") {
  CHECK(problem_of_keys("stages: {model: {kind: fake}}")
            .starts_with("e.yaml:2:23: 'stages' must be a list of 2 to 16 stages"));
  CHECK(problem_of_keys("stages: [{model: {kind: fake}}]").ends_with("not one of 1"));
  CHECK(problem_of_keys(std::string(kTwo) + ", model: {kind: fake}") ==
        "e.yaml:2:83: a member has one 'model' or several 'stages', not both; the last stage is its model");
  CHECK(problem_of_keys(std::string(kTwo) + ", train: {epochs: 2}") ==
        "e.yaml:2:83: a member with 'stages' is not trained; train the models by themselves");
  CHECK(problem_of_keys(std::string(kTwo) + ", views: [hflip]").find("leave 'views' out of a member with 'stages'") !=
        std::string::npos);
  CHECK(problem_of_keys("stages: [{device: cpu}, {model: {kind: fake}}]").find("a stage needs 'model'") !=
        std::string::npos);
  CHECK(problem_of_keys("stages: [{model: {kind: fake}, devise: cpu}, {model: {kind: fake}}]")
            .find("did you mean 'device'?") != std::string::npos);
  CHECK(problem_of_keys("stages: [{model: {kind: saved, predictions: a.npy}}, {model: {kind: fake}}]")
            .find("'m/0' has saved predictions, which are no stage") != std::string::npos);
  CHECK(problem_of_keys("stages: [{model: {kind: fake}}, {model: {kind: mlp, layers: [4], backend: auto}}]")
            .find("the form of 'm/1' cannot be chosen at the start") != std::string::npos);
}

TEST_CASE("stages whose shapes do not meet are refused with both") {
  CHECK(problem_of_keys("stages: [{model: {kind: fake}}, {model: {kind: small-cnn}}]") ==
        "e.yaml:2:47: stages 'm/0' and 'm/1' do not fit together: the first outputs 10, and a small-cnn takes images "
        "of 3x32x32; put a stage between them, or use another model");
  CHECK(problem_of_keys("stages: [{model: {kind: fake, classes: 3, per_class: [16, 16]}}, {model: {kind: small-cnn}}]")
            .find("the first outputs 3x16x16") != std::string::npos);
  CHECK(
      problem_of_keys("stages: [{model: {kind: fake, classes: 3, per_class: [32, 32]}}, {model: {kind: small-cnn}}]") ==
      "nothing");
  CHECK(problem_of_keys("stages: [{model: {kind: fake, classes: 4}}, {model: {kind: mlp, layers: [10]}}]") ==
        "nothing");
}

TEST_CASE("outputs of the last stage that cannot be joined are refused at their place") {
  const std::string several = "{kind: torchscript, path: a.pt, output: [x, y]}";
  for (const char* behind : {"", ", {step: softmax}"})
    CHECK(problem_of_keys("stages: [{model: " + several + "}, {model: " + several + "}" + behind + "]") ==
          "e.yaml:2:130: member 'm' joins several outputs into one row of numbers, which cannot be combined over "
          "probabilities; name one output, or set combine: {over: values}");
  CHECK(problem_of_keys("stages: [{model: " + several + "}, {model: {kind: fake}}]") == "nothing");
}

TEST_CASE("a quorum counts members and leaves slots for the stages of those that are late") {
  CHECK(load_member(kTwo, "quorum: 1\n").slots == 6);
  CHECK(load_member(kTwo, "quorum: 2\n").slots == 4);
  CHECK(load_member(kTwo, "quorum: 1\nslots: 2\n").slots == 2);
  CHECK(problem_of_keys(kTwo, "quorum: 3\n") == "e.yaml:4:9: 'quorum' must be a whole number of at most 2, not '3'");
  const auto spec = load_member(kTwo, "quorum: {members: 1, deadline_s: 0.5}\n");
  CHECK(config::load_text(spec.effective_yaml, "effective", {{}, {}}, {}).quorum == spec.quorum);
}

TEST_CASE("what does not go with stages is refused") {
  const auto refused = [](const std::string& lines) { return problem_of_keys(kTwo, lines); };
  CHECK(refused("workers: [{members: [m, n]}]\n").find("which have workers of their own: leave it out of 'workers'") !=
        std::string::npos);
  CHECK(refused("views: [hflip]\n").find("name 'views' at the other members instead of for all") != std::string::npos);
  CHECK(refused("merge: {method: average}\n").find("which are not merged: name other members in 'over'") !=
        std::string::npos);
}

TEST_CASE("what is measured at the start goes with stages") {
  CHECK(load_member(kTwo, "batch_images: auto\n").measure_batch_images);
  CHECK(load_member("stages: [{model: {kind: fake}}, softmax]", "batch_images: auto\n").measure_batch_images);
  CHECK(load_member(kTwo, "  - {name: o, model: {kind: mlp, layers: [10], backend: auto}}\n")
            .members.back()
            .model.candidates.size() > 1);
  CHECK(problem_of_keys(kTwo,
                        "  - {name: o, model: {kind: fake}}\n"
                        "workers: [{members: [n, o], mode: auto}]\n") == "nothing");
}

TEST_CASE("the samples must fit the first stage and the classes the last") {
  const std::string images = "input: {dataset: random, count: 4, shape: [3, 8, 8], classes: 4}\n";
  CHECK(problem_of_keys("stages: [{model: {kind: small-cnn}}, {model: {kind: fake}}]", images)
            .find("takes images of 3x32x32, not 3x8x8") != std::string::npos);
  CHECK(problem_of_keys("stages: [{model: {kind: fake, classes: 2}}, {model: {kind: fake}}]", images) == "nothing");
  CHECK(problem_of_keys("stages: [{model: {kind: fake}}, {model: {kind: fake, classes: 2}}]", images)
            .find("member 'm' outputs 2 classes, but the images have 4") != std::string::npos);
}

}  // namespace
}  // namespace tutti::test
