// The rules and weights of the command line.
#include "config/rules.hpp"

#include <doctest/doctest.h>

#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

const std::string kTwoMembers =
    "members: [{name: a, model: {kind: fake}, weight: 2}, {name: b, model: {kind: fake}}]\n";

std::vector<std::string> wrong_rules(const std::string& rules, const std::string& yaml = kTwoMembers) {
  return problems_of([&] { config::read_rules(rules, config::load_text(yaml, "e.yaml")); });
}

TEST_CASE("each rule of the list keeps the other settings of the combination") {
  const auto spec =
      config::load_text(kTwoMembers + "combine: {rule: weighted, normalize: false, accumulate: float64}", "e");
  const auto rules = config::read_rules("mean,weighted,max,vote", spec);
  REQUIRE(rules.size() == 4);
  CHECK(rules[0].rule == CombineRule::mean);
  CHECK(rules[0].normalize);
  CHECK(rules[1].rule == CombineRule::weighted);
  CHECK_FALSE(rules[1].normalize);
  CHECK(rules[3].rule == CombineRule::vote);
  for (const auto& rule : rules) {
    CHECK(rule.accumulate_f64);
    CHECK(rule.over == OutputKind::probabilities);
  }
}

TEST_CASE("rules that are unknown or named twice or combine nothing are refused together") {
  const auto lines = wrong_rules("mean,men,mean,none");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] ==
        "command line: --rules: a rule is mean, sum, weighted, max, most_confident, vote, median or "
        "geometric_mean, not 'men'; did you mean 'mean'?");
  CHECK(lines[1] == "command line: --rules: rule mean is named twice");
  CHECK(lines[2] == "command line: --rules: rule none combines nothing; each member is evaluated separately anyway");
  CHECK(wrong_rules("").front() ==
        "command line: --rules: a rule is mean, sum, weighted, max, most_confident, vote, median "
        "or geometric_mean, not ''");
}

TEST_CASE("a rule that does not fit what is combined or its weights is refused") {
  CHECK(wrong_rules("geometric_mean", kTwoMembers + "combine: {over: logits}") ==
        std::vector<std::string>{"command line: --rules: rule geometric_mean is defined over probabilities only; "
                                 "logits may be negative"});
  const std::string zero =
      "members: [{name: a, model: {kind: fake}, weight: 0}, {name: b, model: {kind: fake}, weight: 0}]\n";
  CHECK(
      wrong_rules("weighted", zero) ==
      std::vector<std::string>{"command line: --rules: the weights sum to 0, and rule weighted cannot divide by that; "
                               "change them or set normalize: false"});
  const std::string features =
      "members: [{name: a, model: {kind: fake}, output: features}]\ncombine: {over: features}\n";
  CHECK(wrong_rules("max,vote", features).front() ==
        "command line: --rules: rule vote decides between classes and cannot combine features; use mean, sum, "
        "weighted, max, median or none");
}

TEST_CASE("if tasks have heads the rules that need classes are applied after them") {
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: fake}, output: features}]\ncombine: {over: features}\n"
      "tasks: [{name: t, head: h.safetensors, input: {dataset: random, count: 1}}]\n",
      "e");
  const auto rules = config::read_rules("max,vote,geometric_mean", spec);
  CHECK(rules[0].over == OutputKind::features);
  CHECK(rules[1].over == OutputKind::probabilities);
  CHECK(rules[2].over == OutputKind::probabilities);
}

TEST_CASE("weights of the command line are one number per member") {
  auto spec = config::load_text(kTwoMembers, "e");
  config::set_weights("0.5,-3", spec);
  CHECK(spec.members[0].weight == 0.5);
  CHECK(spec.members[1].weight == -3);
  const auto refused = [&](const char* list) { return problems_of([&] { config::set_weights(list, spec); }); };
  CHECK(refused("1") == std::vector<std::string>{"--weights lists 1 weight for 2 members"});
  CHECK(refused("1,x") == std::vector<std::string>{"--weights: 'x' is not a number that fits float32"});
  CHECK(refused("1,1e300") == std::vector<std::string>{"--weights: '1e300' is not a number that fits float32"});
}

}  // namespace
}  // namespace tutti::test
