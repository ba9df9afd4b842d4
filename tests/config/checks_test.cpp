// Whether members, combine rule and input fit together.
#include "config/checks.hpp"

#include <doctest/doctest.h>

#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

const std::string kFakes = "members: [{name: a, model: {kind: fake}}, {name: b, model: {kind: fake}}]\n";

std::string features_with(const std::string& rule) {
  return problem("members: [{name: a, model: {kind: fake}, output: features}]\ncombine: {rule: " + rule +
                 ", over: features}");
}

TEST_CASE("every rule is accepted over probabilities") {
  for (const auto& entry : enum_names(CombineRule{})) {
    const std::string rule(entry.name);
    CHECK(problem(kFakes + "combine: {rule: " + rule + "}").empty());
    CHECK(config::load_text(kFakes + "combine: {rule: " + rule + "}", "e").combine.rule == entry.value);
  }
}

TEST_CASE("rules that decide between classes refuse features") {
  for (const char* rule : {"mean", "sum", "weighted", "max", "median", "none"}) CHECK(features_with(rule).empty());
  for (const std::string rule : {"vote", "most_confident", "geometric_mean"})
    CHECK(features_with(rule) == "e.yaml:2:10: rule " + rule +
                                     " decides between classes and cannot combine features; use mean, sum, weighted, "
                                     "max, median or none");
}

TEST_CASE("values of a regression are combined like features") {
  const std::string member = "members: [{name: a, model: {kind: fake}, output: values}]\n";
  CHECK(problem(member + "combine: {rule: median, over: values}").empty());
  CHECK(
      problem(member + "combine: {rule: vote, over: values}") ==
      "e.yaml:2:10: rule vote decides between classes and cannot combine values; use mean, sum, weighted, max, median "
      "or none");
  CHECK(problem(member) ==
        "e.yaml:1:11: member 'a' outputs values, which cannot be combined over probabilities; set combine: {over: "
        "values}");
}

TEST_CASE("several labels may be right only under rules that decide for none") {
  const std::string sigmoid = "combine: {activation: sigmoid, rule: ";
  for (const char* rule : {"mean", "sum", "weighted", "max", "median", "geometric_mean", "none"})
    CHECK(problem(kFakes + sigmoid + rule + "}").empty());
  for (const std::string rule : {"vote", "most_confident"})
    CHECK(problem(kFakes + sigmoid + rule + "}") ==
          "e.yaml:2:10: rule " + rule +
              " decides for one class, and with 'activation: sigmoid' several labels may be right; use mean, weighted, "
              "max, median or geometric_mean");
}

TEST_CASE("without an activation a member must output probabilities itself") {
  CHECK(
      problem("members: [{name: a, model: {kind: fake}, output: probabilities}]\ncombine: {activation: none}").empty());
  CHECK(problem("members: [{name: a, model: {kind: fake}}]\ncombine: {activation: none}") ==
        "e.yaml:1:11: member 'a' outputs logits, and 'activation: none' makes no probabilities of them; say 'output: "
        "probabilities' if it outputs those, or leave 'activation' out");
  CHECK(problem(kFakes + "combine: {over: logits, activation: sigmoid}") ==
        "e.yaml:2:25: 'activation' makes probabilities of logits, and the members are combined over logits");
}

TEST_CASE("the axis of the classes is one of a prediction") {
  const std::string volumes = "members: [{name: a, model: {kind: fake, per_class: [2, 2, 2, 2]}}]\n";
  for (const char* axis : {"1", "2", "5", "-1", "-5"})
    CHECK(problem(volumes + "combine: {axis: " + axis + "}").empty());
  const std::string loaded = "members: [{name: a, model: {kind: torchscript, path: a.pt}}]\n";
  CHECK(problem(loaded + "combine: {axis: 5}").empty());  // only the loaded model tells
  CHECK(problem(kOneMember + "combine: {axis: 2, over: logits}") ==
        "e.yaml:2:10: member 'a' predicts 10, which has no axis 2 with classes; 1 is the first axis after the sample, "
        "-1 the last");
  CHECK(problem(kOneMember + "combine: {axis: -2, rule: none}") ==
        "e.yaml:2:10: member 'a' predicts 10, which has no axis -2 with classes; 1 is the first axis after the sample, "
        "-1 the last");
  for (const std::string axis : {"0", "6", "-6", "1.5", "last"})
    CHECK(problem(kFakes + "combine: {axis: " + axis + "}") ==
          "e.yaml:2:17: 'axis' must be the number of an axis: 1 is the first after the sample, -1 the last, not '" +
              axis + "'");
  CHECK(problem("members: [{name: a, model: {kind: fake}, output: features}]\ncombine: {over: features, axis: 2}") ==
        "e.yaml:2:33: 'axis' says where the classes are, and features have none");
}

TEST_CASE("the geometric mean refuses logits") {
  CHECK(problem(kFakes + "combine: {rule: geometric_mean, over: logits}") ==
        "e.yaml:2:10: rule geometric_mean is defined over probabilities only; logits may be negative");
  CHECK(problem(kFakes + "combine: {rule: vote, over: logits}").empty());
}

TEST_CASE("the output of a member must be convertible to what is combined") {
  const auto mixed = [](const std::string& output, const std::string& over) {
    return problem("members: [{name: a, model: {kind: fake}, output: " + output + "}]\ncombine: {over: " + over + "}");
  };
  CHECK(mixed("logits", "logits").empty());
  CHECK(mixed("logits", "probabilities").empty());
  CHECK(mixed("probabilities", "probabilities").empty());
  CHECK(mixed("probabilities", "logits") ==
        "e.yaml:1:11: member 'a' outputs probabilities, which cannot be combined over logits; set combine: "
        "{over: probabilities}");
  CHECK(mixed("features", "probabilities") ==
        "e.yaml:1:11: member 'a' outputs features, which cannot be combined over probabilities; set combine: "
        "{over: features}");
  CHECK(mixed("logits", "features") ==
        "e.yaml:1:11: member 'a' outputs logits, which cannot be combined over features; set combine: {over: "
        "probabilities}");
  CHECK(problem("members: [{name: a, model: {kind: small-cnn}}]\ncombine: {over: features}") ==
        "e.yaml:1:11: member 'a' outputs logits, which cannot be combined over features; set combine: {over: "
        "probabilities}");
  CHECK(problem("members: [{name: a, model: {kind: clip-vit, path: t}}]\n") ==
        "e.yaml:1:11: member 'a' outputs features, which cannot be combined over probabilities; set combine: {over: "
        "features}, or 'output: logits' and 'head' in its 'model'");
}

TEST_CASE("members of different classes are refused unless the rule is none") {
  const std::string yaml =
      "members:\n  - {name: a, model: {kind: torchscript, path: x}}\n  - {name: b, model: {kind: small-cnn}}\n"
      "  - {name: c, model: {kind: mlp, layers: [10, 7]}}\n  - {name: d, model: {kind: fake, classes: 8}}\n";
  const auto lines = problems(yaml);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "e.yaml:4:5: member 'c' outputs 7 classes but member 'b' outputs 10; only rule none takes both");
  CHECK(lines[1] == "e.yaml:5:5: member 'd' outputs 8 classes but member 'b' outputs 10; only rule none takes both");
  CHECK(problem(yaml + "combine: {rule: none}").empty());
}

TEST_CASE("weights that rule weighted would divide by 0 are refused") {
  const std::string zero =
      "members: [{name: a, weight: 2, model: {kind: fake}}, {name: b, weight: -2, model: {kind: fake}}]\n";
  CHECK(problem(zero + "combine: {rule: weighted}") ==
        "e.yaml:2:10: the weights sum to 0, and rule weighted cannot divide by that; change them or set normalize: "
        "false");
  CHECK(problem(zero + "combine: {rule: weighted, normalize: false}").empty());
  const std::string huge =
      "members: [{name: a, weight: 1e308, model: {kind: fake}}, {name: b, weight: 1e308, model: {kind: fake}}]\n";
  CHECK(problem(huge + "combine: {rule: weighted}").starts_with("e.yaml:2:10: the weights sum to inf"));
}

TEST_CASE("weights that cancel but for a rounding error are rejected") {
  const std::string cancel =
      "members: [{name: a, weight: 0.1, model: {kind: fake}}, {name: b, weight: 0.2, model: {kind: fake}}, "
      "{name: c, weight: -0.3, model: {kind: fake}}]\n";
  const std::string end = "and rule weighted cannot divide by that; change them or set normalize: false";
  CHECK(problem(cancel + "combine: {rule: weighted}") == "e.yaml:2:10: the weights sum to 0, " + end);
  CHECK(problem(cancel + "combine: {rule: weighted, accumulate: float64}")
            .ends_with(" (only a rounding error: the weights cancel), " + end));
  CHECK(problem(cancel + "combine: {rule: weighted, normalize: false}").empty());
  const std::string large =
      "members: [{name: a, weight: 3e38, model: {kind: fake}}, {name: b, weight: 3e38, model: {kind: fake}}]\n";
  CHECK(problem(large + "combine: {rule: vote}") ==
        "e.yaml:2:10: the weights are too large for rule vote, which adds them up; make them smaller or use another "
        "rule");
}

TEST_CASE("weights are not summed while one of them is unknown") {
  CHECK(problem("members: [{name: a, weight: x, model: {kind: fake}}, {name: b, weight: -1, model: {kind: fake}}]\n"
                "combine: {rule: weighted}") == "e.yaml:1:29: 'weight' must be a number, not 'x'");
}

TEST_CASE("negative weights are refused unless the rule is weighted") {
  const std::string kNegative =
      "e.yaml:1:11: member 'a' has the negative weight -2, but only the combine rule weighted takes negative weights; "
      "for a merge set 'weights' of 'merge'";
  const std::string negative = "members: [{name: a, weight: -2, model: {kind: fake}}]\n";
  CHECK(problem(negative) == kNegative);
  CHECK(problem(negative + "combine: {rule: vote}") == kNegative);
  CHECK(problem(negative + "combine: {rule: weighted}").empty());
  // Their sum is no second problem.
  const std::string two =
      "members: [{name: a, weight: -2, model: {kind: fake}}, {name: b, weight: 2, model: {kind: "
      "fake}}]\ncombine: {rule: vote}";
  CHECK(problem(two) == kNegative);
}

TEST_CASE("a vote without any weight is refused") {
  CHECK(problem("members: [{name: a, weight: 0, model: {kind: fake}}]\ncombine: {rule: vote}") ==
        "e.yaml:2:10: all weights are 0, so no member has a vote; change them or use another rule");
}

TEST_CASE("a small-cnn refuses images of another shape") {
  const std::string cnn = "members: [{name: a, model: {kind: small-cnn}}]\n";
  CHECK(problem(cnn + "input: {shape: [1, 28, 28]}") ==
        "e.yaml:2:8: member 'a' is a small-cnn, which takes images of 3x32x32, not 1x28x28");
  CHECK(problem(cnn + "input: {dataset: digits}").empty());
  CHECK(problem(cnn + "input: {dataset: digits}\ntrain: {input: {dataset: random, count: 1, shape: [1, 2, 3]}}") ==
        "e.yaml:3:16: member 'a' is a small-cnn, which takes images of 3x32x32, not 1x2x3");
}

TEST_CASE("a member with fewer classes than the images is refused") {
  const std::string seven = "members: [{name: a, model: {kind: fake, classes: 7}}]\n";
  CHECK(problem(seven + "input: {dataset: digits}") ==
        "e.yaml:2:8: member 'a' outputs 7 classes, but the images have 10");
  CHECK(problem(seven + "input: {dataset: random, count: 1, classes: 7}").empty());
  CHECK(problem("members: [{name: a, model: {kind: fake, classes: 7}, output: features}]\n"
                "input: {dataset: digits}\ncombine: {over: features}")
            .empty());
}

TEST_CASE("a torchscript member refuses to start from safetensors") {
  CHECK(problem("members: [{name: a, model: {kind: torchscript, path: x}}]\ntrain: {init: i.safetensors}") ==
        "e.yaml:1:11: member 'a' cannot start from the 'init' file i.safetensors: a torchscript is not trained");
}

TEST_CASE("normalize belongs to rule weighted") {
  CHECK(problem(kFakes + "combine: {rule: sum, normalize: true}") ==
        "e.yaml:2:22: 'normalize' belongs to rule weighted, not to sum");
  CHECK_FALSE(config::load_text(kFakes + "combine: {rule: weighted, normalize: false}", "e").combine.normalize);
}

TEST_CASE("wrong values of the combination are refused") {
  CHECK(problem(kFakes + "combine: mean") == "e.yaml:2:10: 'combine' must be a map of keys and values, not 'mean'");
  CHECK(
      problem(kFakes + "combine: {rule: medianx}") ==
      "e.yaml:2:17: 'rule' must be mean, sum, weighted, max, most_confident, vote, median, geometric_mean or none, not "
      "'medianx'; did you mean 'median'?");
  CHECK(problem(kFakes + "combine: {accumulate: double}") ==
        "e.yaml:2:23: 'accumulate' must be float32 or float64, not 'double'; did you mean 'float64'?");
  CHECK(problem(kFakes + "combine: {ruel: mean}") == "e.yaml:2:11: unknown key 'ruel'; did you mean 'rule'?");
  CHECK(config::load_text(kFakes + "combine: {accumulate: float64}", "e").combine.accumulate_f64);
}

}  // namespace
}  // namespace tutti::test
