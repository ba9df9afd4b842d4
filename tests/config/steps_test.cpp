// Steps among the `stages` of a member: what is read, written and refused.
#include "config/steps.hpp"

#include <doctest/doctest.h>

#include "config/effective.hpp"
#include "config/stages.hpp"
#include "config/value.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/wire/every_step.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

/// A member with these stages, on a line of its own each, and then these lines.
std::string with_entries(const std::vector<std::string>& entries, const std::string& lines = {}) {
  std::string text = "members:\n  - name: m\n    stages:\n";
  for (const std::string& entry : entries) text += "      - " + entry + "\n";
  return text + lines;
}

config::MemberSpec member_of(const std::vector<std::string>& entries, const std::string& lines = {}) {
  return config::load_text(with_entries(entries, lines), "e.yaml").members.front();
}

std::vector<std::string> problems_with(const std::vector<std::string>& entries, const std::string& lines = {}) {
  return problems_of([&] { member_of(entries, lines); });
}

std::string problem_with(const std::vector<std::string>& entries, const std::string& lines = {}) {
  const std::vector<std::string> all = problems_with(entries, lines);
  CHECK(all.size() <= 1);
  return all.empty() ? "nothing" : all.front();
}

const std::string kFake = "{model: {kind: fake}}";
const std::string kMap = "{model: {kind: fake, classes: 3, per_class: [8, 6]}}";
const std::string kValues = "combine: {over: values}\n";

TEST_CASE("steps belong to the stage that they follow") {
  const config::MemberSpec member = member_of(
      {kFake, "softmax", "{step: top_k, k: 4}", "{model: {kind: fake}, device: cpu:0}", kFake, "threshold"}, kValues);
  REQUIRE(member.before.size() == 2);
  CHECK(config::plain_steps(member.before[0].steps) == std::vector<Step>{SoftmaxStep{}, TopKStep{4}});
  CHECK(member.before[0].steps[1].place.text == "e.yaml:6:9");
  CHECK(member.before[1].steps.empty());
  CHECK(config::plain_steps(member.steps) == std::vector<Step>{ThresholdStep{}});
  CHECK(config::has_stages(member));
  CHECK(config::known_prediction(member) == Dims{10});
}

TEST_CASE("a model with steps behind it is a member of one stage") {
  const config::MemberSpec member =
      member_of({"{model: {kind: fake, classes: 4}, device: cpu:1, replicas: 2}", "softmax"});
  CHECK(member.before.empty());
  CHECK(config::has_stages(member));
  CHECK(config::to_text(member.device) == "cpu:1");
  CHECK(member.last.replicas == 2);
  CHECK(member.output == OutputKind::probabilities);
}

TEST_CASE("every step is read as it is written again by descriptions and by values") {
  for (const Step& step : steps_of_maps()) {
    CAPTURE(to_text(step));
    config::EnsembleSpec spec = config::load_text(with_entries({kMap, kMap}), "e.yaml");
    for (config::MemberSpec& member : spec.members) {
      member.steps = {{step}};
      member.output = config::output_of_steps(member).value_or(OutputKind::values);
      member.before[0].steps = {{step}, {ThresholdStep{}}};
    }
    spec.combine.over = spec.members[0].output;
    if (!has_classes(spec.combine.over)) spec.combine.activation = Activation::softmax;
    const config::EnsembleSpec checked = config::checked_value(spec);
    CHECK(checked.members == spec.members);
    const config::EnsembleSpec again = config::load_text(checked.effective_yaml, "effective");
    CHECK(again.members == checked.members);
    CHECK(again.effective_yaml == checked.effective_yaml);
  }
}

TEST_CASE("a mistake in a step of a value names its field") {
  config::EnsembleSpec spec = config::load_text(with_entries({kMap, kMap}), "e.yaml");
  const auto problem_of_value = [&] {
    const auto problems = problems_of([&] { config::checked_value(spec); });
    REQUIRE(problems.size() == 1);
    return problems.front();
  };
  spec.members[0].before[0].steps = {{SoftmaxStep{}}, {TopKStep{.k = 0}}};
  CHECK(contains(problem_of_value(), "members[0].before[0].steps[1].k: "));
  spec.members[0].before[0].steps = {{SoftmaxStep{}}};
  spec.members[0].steps = {{NormalizeStep{}}};
  CHECK(contains(problem_of_value(), "members[0].steps[0]: a step normalize needs"));
  spec.members[0].steps = {{TopKStep{.k = 4}}};
  spec.members[0].output = OutputKind::values;
  CHECK(contains(problem_of_value(), "members[0].steps[0]: behind 'm/1', step 'top_k' does not fit"));
}

TEST_CASE("an entry that is neither a step nor a stage is refused with its position") {
  CHECK(problem_with({kFake, "softmx"}) ==
        "e.yaml:5:9: a step must be softmax, normalize, l2_normalize, threshold, top_k, resize, crop_boxes or reduce, "
        "not "
        "'softmx'; did you mean 'softmax'?; a stage is a map with 'model'");
  CHECK(problem_with({kFake, "{step: topk, k: 2}"}) ==
        "e.yaml:5:16: 'step' must be softmax, normalize, l2_normalize, threshold, top_k, resize, crop_boxes or reduce, "
        "not 'topk'; did you mean 'top_k'?");
  CHECK(contains(problem_with({kFake, "{step: null}"}), "a step needs 'step', softmax, normalize"));
  CHECK(problem_with({kFake, "{step: softmax, k: 2}"}) == "e.yaml:5:25: 'k' belongs to top_k, not to softmax");
  CHECK(contains(problem_with({kFake, "{step: normalize, std: 2, axis: 1}"}),
                 "'axis' belongs to softmax, l2_normalize or top_k, not to normalize"));
  CHECK(contains(problem_with({kFake, "{step: softmax, crop: 2}"}),
                 "'crop' belongs to resize or crop_boxes, not to softmax"));
  CHECK(contains(problem_with({kFake, "{step: softmax, axes: 2}"}), "did you mean 'axis'?"));
  CHECK(problem_with({kFake, "normalize"}) == "e.yaml:5:9: a step normalize needs 'mean', 'std' or both");
  CHECK(problem_with({kMap, "{step: resize}"}) == "e.yaml:5:9: a step resize needs 'resize', 'crop' or both");
  CHECK(contains(problem_with({kFake, "{step: normalize, std: 0}"}), "'std' must be a number above 0"));
  CHECK(contains(problem_with({kFake, "{step: softmax, axis: 0}"}), "'axis' must be the number of an axis"));
  CHECK(contains(problem_with({kFake, "{step: top_k, k: 0}"}), "'k' must be a whole number"));
  CHECK(contains(problem_with({kFake, "{step: softmax, device: cpu}"}),
                 "a step runs in the workers of the stage before it; give 'device' to that"));
  CHECK(contains(problem_with({kFake, "{step: softmax, model: {kind: fake}}"}),
                 "has a 'model' or is a 'step', not both; make it two entries"));
}

TEST_CASE("a step in front of the first model is refused with what prepares images") {
  CHECK(problem_with({"softmax", kFake}) ==
        "e.yaml:4:9: the first entry of 'stages' must have a 'model': a step takes what the stage before it outputs; "
        "'input' of the member prepares images for the first model");
  CHECK(problems_with({"softmax", "softmax"}).size() == 2);
}

TEST_CASE("a step whose shapes do not meet is refused with its position") {
  CHECK(problem_with({kFake, "softmax", "{step: top_k, k: 11}", kFake}) ==
        "e.yaml:6:9: behind 'm/0', step 'top_k' does not fit outputs of 10: there are not 11 values along axis 1, but "
        "10; set its 'k' to 10 at most, or its 'axis' to a longer one");
  CHECK(
      contains(problem_with({kFake, "{step: resize, resize: 8}"}, kValues), "behind 'm', step 'resize' does not fit"));
  CHECK(problem_with({"{model: {kind: torchscript, path: a.pt}}", "{step: top_k, k: 11}"}, kValues) == "nothing");
}

TEST_CASE("a stage takes what the steps before it output") {
  CHECK(problem_with({kMap, "{step: resize, resize: [32, 32]}", "{model: {kind: small-cnn}}"}) == "nothing");
  CHECK(contains(problem_with({kMap, "{model: {kind: small-cnn}}"}), "the first outputs 3x8x6"));
  CHECK(contains(problem_with({kMap, "{step: resize, resize: [31, 32]}", "{model: {kind: small-cnn}}"}),
                 "the first outputs 3x31x32"));
}

TEST_CASE("steps behind the last model decide what the predictions of the member are") {
  CHECK(member_of({kFake, "{step: normalize, std: 2}"}).output == OutputKind::logits);
  CHECK(member_of({"{model: {kind: mlp, layers: [4]}}", "softmax"}).output == OutputKind::probabilities);
  CHECK(member_of({kFake, "{step: top_k, k: 2}"}, kValues).output == OutputKind::values);
  CHECK(member_of({kFake, "l2_normalize"}, "combine: {over: features}\n").output == OutputKind::features);
  CHECK(contains(problem_with({kFake, "l2_normalize"}), "member 'm' outputs features, which cannot be combined over"));
  const std::string wrong = with_entries({kFake, "softmax"}, "    output: logits\n");
  CHECK(problems_of([&] { config::load_text(wrong, "e.yaml"); }) ==
        std::vector<std::string>{"e.yaml:6:13: behind the steps of 'm' there are probabilities; leave 'output' out, or "
                                 "change the steps"});
  const std::string said = with_entries({kFake, "{step: normalize, std: 2}"}, "    output: features\n");
  CHECK(config::load_text(said + "combine: {over: features}\n", "e.yaml").members[0].output == OutputKind::features);
}

TEST_CASE("the classes that members have are those behind their steps") {
  const std::string other = "  - {name: n, model: {kind: fake, classes: 4}, output: values}\n";
  CHECK(problem_with({kFake, "{step: top_k, k: 4}"}, other + kValues) == "nothing");
  CHECK(contains(problem_with({kFake, "{step: top_k, k: 3}"}, other + kValues), "outputs 4 classes but member 'm'"));
}

TEST_CASE("what does not go with stages does not go with steps behind one model") {
  const std::vector<std::string> entries{kFake, "softmax"};
  CHECK(contains(problem_with(entries, "workers: [{members: [m]}]\n"), "leave it out of 'workers'"));
  CHECK(contains(problem_with(entries, "views: [hflip]\n"), "'views' cannot be put together"));
}

}  // namespace
}  // namespace tutti::test
