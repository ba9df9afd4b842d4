// Steps among the `stages` of a member that change how many rows a sample has: what is read, written and refused.
#include <doctest/doctest.h>

#include "config/load.hpp"
#include "config/stages.hpp"
#include "config/steps.hpp"
#include "config/value.hpp"
#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

/// A member with these stages, on a line of its own each, and then these lines.
std::string with_rows(const std::vector<std::string>& entries, const std::string& lines) {
  std::string text = "members:\n  - name: m\n    stages:\n";
  for (const std::string& entry : entries) text += "      - " + entry + "\n";
  return text + lines;
}

std::vector<std::string> row_problems(const std::vector<std::string>& entries, const std::string& lines = {}) {
  return problems_of([&] { config::load_text(with_rows(entries, lines), "e.yaml"); });
}

std::string row_problem(const std::vector<std::string>& entries, const std::string& lines = {}) {
  const std::vector<std::string> all = row_problems(entries, lines);
  CHECK(all.size() <= 1);
  return all.empty() ? "nothing" : all.front();
}

const std::string kDetector = "{model: {kind: fake, classes: 7, per_class: [5]}}";
const std::string kCropBoxes = "{step: crop_boxes, max: 4, resize: [32, 32]}";
const std::string kClassifier = "{model: {kind: fake}}";

TEST_CASE("a detector with crops a classifier and a reduction are read as they are written again") {
  const config::EnsembleSpec spec = config::load_text(
      with_rows(
          {kDetector, "{step: crop_boxes, max: 4, above: 0.25, channels: 1, resize: [32, 24], interpolation: bilinear}",
           kClassifier, "{step: reduce, by: max, empty: -2}"},
          {}),
      "e.yaml");
  const config::MemberSpec& member = spec.members.front();
  REQUIRE(member.before.size() == 1);
  const CropBoxesStep crops{
      .max = 4,
      .above = 0.25F,
      .channels = 1,
      .resize = {.rule = ResizeRule::exact, .height = 32, .width = 24, .interpolation = Interpolation::bilinear}};
  CHECK(config::plain_steps(member.before[0].steps) == std::vector<Step>{crops});
  CHECK(config::plain_steps(member.steps) == std::vector<Step>{ReduceStep{.by = ReduceBy::max, .empty = -2}});
  CHECK(config::has_rows(member));
  CHECK(config::known_prediction(member) == Dims{10});
  const config::EnsembleSpec again = config::load_text(spec.effective_yaml, "effective");
  CHECK(again.members == spec.members);
  CHECK(again.effective_yaml == spec.effective_yaml);
  CHECK(config::checked_value(spec).members == spec.members);
}

TEST_CASE("steps about rows have defaults and one may be a word") {
  const config::EnsembleSpec spec =
      config::load_text(with_rows({kDetector, kCropBoxes, kClassifier, "softmax", "reduce"}, {}), "e.yaml");
  const auto crops = std::get<CropBoxesStep>(spec.members[0].before[0].steps[0].step);
  CHECK(crops.above == 0.5F);
  CHECK(crops.channels == 3);
  CHECK(config::plain_steps(spec.members[0].steps) == std::vector<Step>{SoftmaxStep{}, ReduceStep{}});
  CHECK(spec.members[0].output == OutputKind::probabilities);
}

TEST_CASE("a step crop_boxes says what it needs") {
  const auto problem = [](const std::string& keys) {
    return row_problem({kDetector, "{step: crop_boxes" + keys + "}", kClassifier, "reduce"});
  };
  CHECK(problem(", resize: [32, 32]") == "e.yaml:5:9: a step crop_boxes needs 'max', the most rows of a sample");
  CHECK(contains(problem(", max: 0, resize: [32, 32]"), "e.yaml:5:33: 'max' must be a whole number"));
  CHECK(contains(problem(", max: 5000, resize: [32, 32]"), "'max' must be a whole number of at most 4096"));
  const std::string size =
      "e.yaml:5:9: a step crop_boxes needs one size for all crops: 'resize: [height, width]', without 'crop'";
  CHECK(problem(", max: 4") == size);
  CHECK(problem(", max: 4, resize: 32") == size);
  CHECK(problem(", max: 4, resize: [32, 32], crop: 8") == size);
  CHECK(problem(", max: 4, resize: 32, rule: exact") == "nothing");
  CHECK(contains(row_problem({kDetector, "crop_boxes", kClassifier, "reduce"}), "needs 'max'"));
  CHECK(contains(problem(", max: 4, resize: [32, 32], channels: 0"), "'channels' must be a whole number"));
  CHECK(contains(problem(", max: 4, size: [32, 32]"), "'size'"));
}

TEST_CASE("crops need a model before them and one behind them") {
  CHECK(contains(row_problem({kCropBoxes, kClassifier, kClassifier}),
                 "e.yaml:4:9: the first entry of 'stages' must have a 'model'"));
  CHECK(row_problem({kDetector, kCropBoxes, "reduce"}) ==
        "e.yaml:6:9: behind 'm', step 'reduce': there is no model between crop_boxes and reduce; put a model between "
        "them: it computes on the rows that one makes for the other");
}

TEST_CASE("rows that reach the end of a member are refused at its last entry") {
  CHECK(
      row_problem({kDetector, kCropBoxes, kClassifier}) ==
      "e.yaml:6:9: 'm' ends with up to 4 rows for each sample, and a prediction is one; put {step: reduce} behind its "
      "last model");
  CHECK(contains(row_problem({kDetector, kCropBoxes, kClassifier, "softmax"}), "e.yaml:7:9: 'm' ends with up to 4"));
  CHECK(contains(row_problem({kDetector, kCropBoxes}, "combine: {over: values}\n"), "e.yaml:5:9: 'm' ends with"));
}

TEST_CASE("a reduction without rows and crops of crops are refused with their position") {
  CHECK(
      row_problem({kClassifier, "reduce"}) ==
      "e.yaml:5:9: behind 'm', step 'reduce': a sample has one row here, and there is nothing to reduce; leave it out, "
      "or put a step crop_boxes and a model before it");
  CHECK(contains(row_problem({kDetector, kCropBoxes, kClassifier, "reduce", kClassifier, "reduce"}),
                 "e.yaml:9:9: behind 'm/2', step 'reduce': a sample has one row here"));
  CHECK(row_problem({kDetector, kCropBoxes, kDetector, kCropBoxes, kClassifier, "reduce"}) ==
        "e.yaml:7:9: behind 'm/1', step 'crop_boxes': a sample has up to 4 rows here already; put a step reduce before "
        "it");
  CHECK(row_problem({kDetector, kCropBoxes, kClassifier, "reduce", kDetector, kCropBoxes, kClassifier, "reduce"}) ==
        "nothing");
}

TEST_CASE("sizes that do not fit are refused before and behind the crops") {
  CHECK(contains(row_problem({kClassifier, kCropBoxes, kClassifier, "reduce"}),
                 "e.yaml:5:9: behind 'm/0', step 'crop_boxes' does not fit outputs of 10: it takes boxes x 5"));
  CHECK(row_problem({kDetector, kCropBoxes, "{model: {kind: small-cnn}}", "reduce"}) == "nothing");
  CHECK(contains(
      row_problem({kDetector, "{step: crop_boxes, max: 4, resize: [32, 31]}", "{model: {kind: small-cnn}}", "reduce"}),
      "the first outputs 3x32x31"));
}

TEST_CASE("crops have their size whatever the detector outputs") {
  const std::string detector = "{model: {kind: torchscript, path: detector.pt}}";
  CHECK(contains(
      row_problem({detector, "{step: crop_boxes, max: 4, resize: [64, 64]}", "{model: {kind: small-cnn}}", "reduce"}),
      "the first outputs 3x64x64"));
}

TEST_CASE("more values in the rows of a sample than an output slot holds are refused") {
  const std::string wide = "{model: {kind: fake, classes: 10000}}";
  CHECK(row_problem({kDetector, "{step: crop_boxes, max: 4096, resize: [8, 8]}", wide, kClassifier, "reduce"}) ==
        "e.yaml:6:9: 'm/1' outputs up to 4096 rows of 10000 for each sample, more than 16777216 values; lower 'max' of "
        "the step crop_boxes before it");
  CHECK(row_problem({kDetector, "{step: crop_boxes, max: 1024, resize: [8, 8]}", wide, kClassifier, "reduce"}) ==
        "nothing");
}

TEST_CASE("more rows in a segment than its index counts are refused") {
  const auto problem = [](const std::string& max, const std::string& images) {
    return row_problem({kDetector, "{step: crop_boxes, max: " + max + ", resize: [8, 8]}", kClassifier, "reduce"},
                       "segment_images: " + images + "\n");
  };
  CHECK(problem("4096", "1048576") ==
        "e.yaml:2:5: member 'm' has 'stages', one of which makes up to 4096 rows of each of the 1048576 images of a "
        "segment, more than 4294967295 rows: lower 'segment_images', or 'max' of the step crop_boxes");
  CHECK(problem("4096", "1048575") == "nothing");
  CHECK(problem("1", "16777216") == "nothing");
}

TEST_CASE("a fault that spoils rows is refused where none are made") {
  const std::string spoilt = "faults: [{kind: nonsense}]";
  const std::string detector = "{model: {kind: fake, classes: 7, per_class: [5], " + spoilt + "}}";
  const std::string classifier = "{model: {kind: fake, " + spoilt + "}}";
  const auto said = [](const std::string& name) {
    return "e.yaml:2:5: '" + name +
           "' has the fault 'nonsense', which spoils what is written about the rows of a sample, and makes none; give "
           "it to a stage with a step crop_boxes behind it";
  };
  CHECK(row_problem({detector, kCropBoxes, kClassifier, "reduce"}) == "nothing");
  CHECK(row_problem({kDetector, kCropBoxes, classifier, kClassifier, "reduce"}) == "nothing");
  CHECK(row_problem({kDetector, kCropBoxes, classifier, "reduce"}) == said("m/1"));
  CHECK(row_problem({classifier, kClassifier}) == said("m/0"));
  CHECK(problems_of([&] {
          config::load_text("members:\n  - {name: m, model: {kind: fake, " + spoilt + "}}\n", "e.yaml");
        }) == std::vector<std::string>{said("m")});
}

TEST_CASE("what does not go with rows is refused") {
  CHECK(contains(row_problem({kDetector, kCropBoxes, kClassifier, "reduce"}, "batch_images: auto\n"),
                 "e.yaml:2:5: member 'm' has 'stages', one of which makes several rows of a sample, and 'batch_images: "
                 "auto' measures made-up samples, of which nobody knows how many rows they give: give a number as "
                 "'batch_images'"));
  CHECK(
      row_problem({kDetector, kCropBoxes, kClassifier, "reduce"}, "coalesce: {max_delay_us: 200}\n") ==
      "e.yaml:2:5: member 'm' has 'stages', one of which makes several rows of a sample: their batches depend on what "
      "shares a segment, which 'coalesce' promises not to matter; leave 'coalesce' out");
  CHECK(row_problem({kClassifier, kClassifier}, "coalesce: {max_delay_us: 200}\n") == "nothing");
}

}  // namespace
}  // namespace tutti::test
