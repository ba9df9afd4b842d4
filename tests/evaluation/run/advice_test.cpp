// Warnings about descriptions that may mean something else.
#include "evaluation/run/advice.hpp"

#include <doctest/doctest.h>

#include "images/sources.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

using Texts = std::vector<std::string>;

config::CombineSpec by(CombineRule rule) {
  config::CombineSpec combine;
  combine.rule = rule;
  return combine;
}

MemberStatus loaded(const std::string& name, std::uint32_t width) {
  MemberStatus status;
  status.name = name;
  status.output = {width};
  return status;
}

TEST_CASE("weights that no rule uses are reported with the rules that do") {
  const auto spec = config::load_text("members: [{name: a, weight: 5, model: {kind: fake}}]\n", "e");
  CHECK(ignored_weights(spec, {by(CombineRule::mean)}) ==
        Texts{"the weight 5 of member 'a' is ignored by rule mean; the rules weighted and vote use weights"});
  CHECK(ignored_weights(spec, {by(CombineRule::mean), by(CombineRule::vote)}).empty());
  CHECK(ignored_weights(spec, {}).empty());  // rule none has no table of rules
  CHECK(ignored_weights(load_one(""), {by(CombineRule::mean)}).empty());
}

TEST_CASE("tasks that a run ignores are reported") {
  CHECK(ignored_by_run(load_one("")).empty());
  const auto spec = load_one("tasks: [{name: t, input: {dataset: random, count: 2, classes: 2}}]");
  CHECK(ignored_by_run(spec) ==
        Texts{"'tutti run' predicts the images of 'input' and ignores 1 task; 'tutti evaluate' measures on them"});
}

TEST_CASE("labels with names that are fewer than the outputs are doubtful unless the classes are named") {
  const auto spec = load_one("");
  const auto folders = images::with_classes(images::make_random(4, {1, 2, 2}, 2, 1), {"cat", "dog"}, {});
  const auto numbers = images::make_random(4, {1, 2, 2}, 2, 1);
  const Texts texts = doubts(spec, *folders, {loaded("a", 1000)});
  REQUIRE(texts.size() == 1);
  CHECK(
      texts[0].ends_with("has 2 classes ('cat', ...), and 'a' outputs 1000: they are taken for its first 2, so the "
                         "accuracy may mean nothing; name what the members output with 'classes', and labels are "
                         "matched by name"));
  CHECK(doubts(spec, *folders, {loaded("a", 2)}).empty());
  CHECK(doubts(spec, *numbers, {loaded("a", 1000)}).empty());  // they may be numbers of the model's classes
  auto named = spec;
  named.classes = {"x"};
  CHECK(doubts(named, *folders, {loaded("a", 1000)}).empty());
}

TEST_CASE("numbers that nobody called logits are doubtful") {
  const auto of = [](const std::string& output) {
    return config::load_text("members: [{name: a, model: {kind: torchscript, path: a.pt}" + output + "}]\n", "e");
  };
  const auto images = images::make_random(4, {1, 2, 2}, 0, 1);
  CHECK(doubts(of(""), *images, {loaded("a", 768)}) ==
        Texts{"'a' outputs 768 values per image, which count as logits of so many classes, because its 'output' is not "
              "set; write 'output: logits' if they are, or 'output: features' if they are an embedding"});
  CHECK(doubts(of(", output: logits"), *images, {loaded("a", 768)}).empty());
  CHECK(doubts(of(""), *images::make_random(4, {1, 2, 2}, 10, 1), {loaded("a", 10)}).empty());
}

}  // namespace
}  // namespace tutti::test
