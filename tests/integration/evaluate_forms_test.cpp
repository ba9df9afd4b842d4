// `tutti evaluate`, `tutti run --rules` and `tutti combine` over masks, numbers and several labels: every figure is
// that of a `tutti run` by the same rule.
#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/labelled_runs.hpp"

namespace tutti::test {
namespace {

/// A description, its labels, and what is said about them.
struct LabelledForm {
  std::string yaml;
  std::function<void(const std::filesystem::path&)> write_labels;
  std::vector<std::string> rules;
  std::string title;  ///< of the table
  std::string drawn;  ///< the title of the picture
};

const std::vector<LabelledForm>& labelled_forms() {
  static const std::vector<LabelledForm> all{{described("{rule: mean}", "logits", ", ignore_index: 255"),
                                              [](const auto& file) {
                                                write_npy(file, {2, 5}, mask_labels());
                                              },
                                              {"mean", "vote", "max"},
                                              "model          npy mIoU   pixels\n",
                                              ">mean IoU<"},
                                             {kNumbers,
                                              [](const auto& file) {
                                                write_npy(file, {3, 2, 5}, number_labels());
                                              },
                                              {"mean", "median", "max"},
                                              "model            npy MAE",
                                              ">mean absolute error<"},
                                             {kSeveral,
                                              [](const auto& file) {
                                                write_npy(file, {3, 2, 5}, several_labels());
                                              },
                                              {"mean", "max", "geometric_mean"},
                                              "model                     npy F1      mAP\n",
                                              ">macro F1<"}};
  return all;
}

/// A folder in which a form can be run.
struct PreparedForm {
  explicit PreparedForm(const LabelledForm& form) : place(form.yaml) {
    write_images(place);
    form.write_labels(place / "y.npy");
    rules = form.rules[0] + "," + form.rules[1] + "," + form.rules[2];
  }
  json::value run(const std::string& rule) const {
    REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=by-" + rule, "combine.rule=" + rule}).code == 0);
    return place.report("by-" + rule);
  }
  /// Compares the evaluation of a report with a run by each rule.
  void check(const json::value& report, const LabelledForm& form, const std::string& task) const {
    const json::value& models = report.at_pointer("/evaluation/models");
    REQUIRE(models.as_array().size() == 2 + form.rules.size());
    for (std::size_t rule = 0; rule < form.rules.size(); ++rule) {
      CAPTURE(form.rules[rule]);
      const json::value alone = run(form.rules[rule]);
      REQUIRE(alone.at_pointer("/ensemble/scores").is_object());
      CHECK(models.at(2 + rule).at("tasks").at(task).at("scores") == alone.at_pointer("/ensemble/scores"));
      CHECK(models.at(2 + rule).at("tasks").at(task).at("images") == kImages);
      for (std::size_t m = 0; m < 2; ++m)
        CHECK(models.at(m).at("tasks").at(task).at("scores") == alone.at("members").at(m).at("scores"));
    }
    CHECK(models.at(0).at("average").at("accuracy").is_null());
    CHECK(report.at_pointer("/evaluation/tasks/0/disagreement").is_null());
  }
  Workplace place;
  std::string rules;
};

TEST_CASE("an evaluation has the figures that fit masks, numbers and several labels, and no others") {
  for (const LabelledForm& form : labelled_forms()) {
    CAPTURE(form.title);
    const PreparedForm prepared(form);
    const Finished evaluated(prepared.place,
                             {"evaluate", "e.yaml", "--rules", prepared.rules, "--picture", "p.svg", "output=r"});
    REQUIRE(evaluated.code == 0);
    CHECK(contains(evaluated.out(), form.title));
    CHECK_FALSE(contains(evaluated.out(), "calibration"));
    CHECK_FALSE(contains(evaluated.out(), "members disagree"));
    prepared.check(prepared.place.report("r"), form, "npy");
    CHECK(contains(prepared.place.read("p.svg"), form.drawn));
    CHECK_FALSE(prepared.place.has("r/disagreement.npy"));
    CHECK_FALSE(prepared.place.has("r/predictions.csv"));
    CHECK(prepared.place.has("r/labels.npy"));
  }
}

TEST_CASE("a run evaluates several rules over masks, numbers and several labels in one pass") {
  for (const LabelledForm& form : labelled_forms()) {
    CAPTURE(form.title);
    const PreparedForm prepared(form);
    const Finished run(prepared.place, {"run", "e.yaml", "--rules", prepared.rules, "output=r"});
    REQUIRE(run.code == 0);
    CHECK(contains(run.out(), form.title));
    const json::value report = prepared.place.report("r");
    prepared.check(report, form, "npy");
    // The run's own rule is scored as without a list.
    const std::string own(report.at_pointer("/ensemble/rule").as_string());
    const json::value alone = prepared.run(own);
    CHECK(report.at_pointer("/ensemble/scores") == alone.at_pointer("/ensemble/scores"));
    CHECK(report.at_pointer("/members/1/scores") == alone.at_pointer("/members/1/scores"));
    CHECK(different_results(prepared.place, "r", "by-" + own).empty());
  }
}

TEST_CASE("a run of several rules that is resumed has the figures of an undisturbed one") {
  const PreparedForm prepared(labelled_forms().front());
  const std::vector<std::string> words{"run", "e.yaml", "-q", "on_worker_failure=fail", "--rules", prepared.rules};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), words.begin(), words.end());
    return Finished(prepared.place, more).code;
  };
  REQUIRE(with({"output=whole"}) == 0);
  REQUIRE(with({"output=cut", "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 8}]"}) == 1);
  REQUIRE(with({"output=cut", "--resume"}) == 0);
  const json::value cut = prepared.place.report("cut");
  CHECK(cut.at_pointer("/finished/resumed").to_number<int>() > 0);
  CHECK(cut.at_pointer("/evaluation/models") == prepared.place.report("whole").at_pointer("/evaluation/models"));
  CHECK(different_results(prepared.place, "cut", "whole").empty());
}

TEST_CASE("what a run or an evaluation saved is combined to the same bytes and figures") {
  for (const LabelledForm& form : labelled_forms()) {
    CAPTURE(form.title);
    const PreparedForm prepared(form);
    REQUIRE(Finished(prepared.place, {"run", "e.yaml", "-q", "output=saved"}).code == 0);
    const Finished combined(prepared.place, {"combine", "saved", "--rules", prepared.rules, "-o", "c"});
    REQUIRE(combined.code == 0);
    CHECK(contains(combined.out(), form.title));
    prepared.check(prepared.place.report("c"), form, "npy");
    for (const std::string& rule : form.rules)
      CHECK(prepared.place.read("c/" + rule + "/predictions.npy") ==
            prepared.place.read("by-" + rule + "/predictions.npy"));
    REQUIRE(
        Finished(prepared.place, {"evaluate", "e.yaml", "-q", "output=evaluated", "--rules", prepared.rules}).code ==
        0);
    CHECK(prepared.place.read("evaluated/labels.npy") == prepared.place.read("saved/labels.npy"));
    REQUIRE(Finished(prepared.place, {"combine", "evaluated", "-q", "--rules", prepared.rules, "-o", "d"}).code == 0);
    CHECK(prepared.place.report("d").at_pointer("/evaluation/models/3/tasks") ==
          prepared.place.report("c").at_pointer("/evaluation/models/3/tasks"));
  }
}

TEST_CASE("the labels that a run of a part of the images saves are those of its images") {
  const PreparedForm prepared(labelled_forms()[1]);
  REQUIRE(Finished(prepared.place, {"run", "e.yaml", "-q", "output=saved", "input.skip=7", "input.limit=12"}).code ==
          0);
  const std::vector<float> all = number_labels();
  CHECK(floats_in(prepared.place, "saved/labels.npy") ==
        std::vector<float>(all.begin() + std::ptrdiff_t{7} * 30, all.begin() + std::ptrdiff_t{19} * 30));
}

TEST_CASE("tasks with masks have a column each and their average") {
  std::string yaml = described("{rule: mean}");
  yaml.replace(yaml.find("input:"), yaml.find("segment_images") - yaml.find("input:"), R"(tasks:
  - {name: t, input: {dataset: npy, images: x.npy, labels: y.npy, ignore_index: 255, limit: 15}}
  - {name: u, input: {dataset: npy, images: x.npy, labels: y.npy, ignore_index: 255, skip: 15}}
)");
  const Workplace place(yaml);
  write_images(place);
  write_npy(place / "y.npy", {2, 5}, mask_labels());
  const Finished evaluated(place, {"evaluate", "e.yaml", "output=r"});
  REQUIRE(evaluated.code == 0);
  CHECK(contains(evaluated.out(), "model           t mIoU   u mIoU  average   pixels\n"));
  const json::value report = place.report("r");
  const json::value& row = report.at_pointer("/evaluation/models/2");
  const auto figure = [&](const json::value& score) { return score.at("scores").at("mean_iou").as_double(); };
  CHECK(figure(row.at("average")) ==
        doctest::Approx((figure(row.at("tasks").at("t")) + figure(row.at("tasks").at("u"))) / 2));
  CHECK(row.at("average").at("images") == kImages);
  CHECK(place.has("r/tasks/u/labels.npy"));
  REQUIRE(Finished(place, {"combine", "r", "-q", "-o", "c"}).code == 0);
  CHECK(place.report("c").at_pointer("/evaluation/models/2/tasks") == row.at("tasks"));
}

TEST_CASE("tasks with several labels or numbers read them as such") {
  std::string yaml = kSeveral;
  yaml.replace(yaml.find("input:"), 6, "tasks:\n  - name: t\n    input:");
  const Workplace place(yaml);
  write_images(place);
  write_npy(place / "y.npy", {3, 2, 5}, several_labels());
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=r"}).code == 0);
  CHECK(place.report("r").at_pointer("/evaluation/models/0/tasks/t/scores/kind") == "labels");
  const Finished ignored(place, {"evaluate", "e.yaml", "-q", "tasks.0.input.ignore_index=2"});
  CHECK(ignored.code == 2);
  CHECK(contains(ignored.err(), "'ignore_index' marks places of masks of classes"));
}

TEST_CASE("a picture without a figure is left out and the log says so") {
  const PreparedForm prepared(labelled_forms().front());
  write_npy(prepared.place / "y.npy", {2, 5}, std::vector<std::int64_t>(kImages * 10, 255));
  const Finished evaluated(prepared.place, {"evaluate", "e.yaml", "--picture", "p.svg", "output=r"});
  REQUIRE(evaluated.code == 0);
  CHECK(contains(evaluated.err(), "p.svg was not drawn: no model has a figure to show"));
  CHECK(contains(evaluated.out(), "ensemble mean         -       -\n"));
  CHECK_FALSE(prepared.place.has("p.svg"));
}

// ---- what does not fit ---------------------------------------------------------------------------------------------

std::string form_refusal(const Workplace& place, std::vector<std::string> words) {
  const Finished refused(place, std::move(words));
  CHECK(refused.code == 2);
  CHECK_FALSE(place.has("r/report.json"));
  return refused.err();
}

TEST_CASE("rules that need classes are refused by name where there are none") {
  {
    const PreparedForm numbers(labelled_forms()[1]);
    for (const char* command : {"run", "evaluate"})
      CHECK(contains(form_refusal(numbers.place, {command, "e.yaml", "output=r", "--rules", "mean,vote"}),
                     "rule vote decides between classes and cannot combine values"));
    CHECK(contains(form_refusal(numbers.place, {"run", "e.yaml", "output=r", "--rules", "geometric_mean"}),
                   "rule geometric_mean decides between classes and cannot combine values"));
  }
  const PreparedForm several(labelled_forms()[2]);
  CHECK(contains(form_refusal(several.place, {"run", "e.yaml", "output=r", "--rules", "most_confident"}),
                 "rule most_confident decides for one class"));
}

TEST_CASE("rules without anything to evaluate them by are refused") {
  const PreparedForm prepared(labelled_forms().front());
  CHECK(contains(form_refusal(prepared.place, {"run", "e.yaml", "output=r", "--rules", "mean,vote", "input.labels=null",
                                               "input.ignore_index=null"}),
                 "--rules has nothing to evaluate\n  detail: 'a' predicts 3x2x5, and"));
}

TEST_CASE("labels of the wrong kind end an evaluation before it starts") {
  const PreparedForm numbers(labelled_forms()[1]);
  CHECK(contains(form_refusal(numbers.place, {"evaluate", "e.yaml", "output=r",
                                              "input={dataset: random, count: 8, shape: [2, 3, 3], classes: 4}"}),
                 "have one class per image as labels, and they are compared with predicted values"));
  const PreparedForm masks(labelled_forms().front());
  CHECK(contains(form_refusal(masks.place, {"evaluate", "e.yaml", "output=r",
                                            "input={dataset: random, count: 8, shape: [2, 3, 3], classes: 3}"}),
                 "have one class per image as labels, but 'a' predicts 3x2x5"));
  CHECK(contains(
      form_refusal(masks.place, {"evaluate", "e.yaml", "output=r", "input.labels=null", "input.ignore_index=null"}),
      "have no labels"));
  write_npy(masks.place / "y.npy", {4, 4}, std::vector<std::int64_t>(kImages * 16));
  CHECK(contains(form_refusal(masks.place, {"evaluate", "e.yaml", "output=r"}),
                 "the label of an image is 4x4, but 'a' predicts 3x2x5, which needs labels of 2x5"));
}

TEST_CASE("members whose predictions have different shapes are not combined") {
  const PreparedForm masks(labelled_forms().front());
  const auto with = [&](const std::string& per_class) {
    return form_refusal(masks.place, {"evaluate", "e.yaml", "output=r",
                                      "members.1.model={kind: fake, classes: 3, per_class: " + per_class + "}"});
  };
  CHECK(contains(with("[5, 2]"), "the label of an image is 2x5, but 'b' predicts 3x5x2, which needs labels of 5x2"));
  // Axes of length 1 do not matter for labels.
  CHECK(contains(with("[1, 2, 5]"), "'a' predicts 3x2x5 and 'b' predicts 3x1x2x5: they cannot be combined"));
}

TEST_CASE("tiles are not evaluated and the message names what does predict them") {
  const PreparedForm masks(labelled_forms().front());
  const std::vector<std::string> tiles{"input={dataset: npy, images: x.npy, tiles: {size: 2}}", "output=r"};
  const std::string evaluated = form_refusal(masks.place, {"evaluate", "e.yaml", tiles[0], tiles[1]});
  CHECK(contains(evaluated, "the predictions of 'tiles' cannot be evaluated"));
  CHECK(contains(evaluated, "hint: 'tutti run' blends the predictions of tiles"));
  const std::string rules = form_refusal(masks.place, {"run", "e.yaml", tiles[0], tiles[1], "--rules", "mean"});
  CHECK(contains(rules, "--rules cannot evaluate the predictions of 'tiles'"));
  CHECK(contains(rules, "hint: run each rule: combine.rule=median"));
}

TEST_CASE("the scores that several labels need at once are in the plan and in the report") {
  const PreparedForm several(labelled_forms()[2]);
  const std::string bound = "scores of several labels, which their average precision needs all at once";
  const Finished plan(several.place, {"plan", "e.yaml"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), bound));
  const auto bytes_of = [&](std::vector<std::string> words) -> std::int64_t {
    words.insert(words.end(), {"e.yaml", "-q", "output=" + std::to_string(words.size()) + words[0]});
    REQUIRE(Finished(several.place, words).code == 0);
    const json::value report = several.place.report(words.back().substr(7));
    for (const json::value& row : report.at_pointer("/memory/bounds").as_array())
      if (row.at("name").as_string() == bound) return row.at("bytes").to_number<std::int64_t>();
    return 0;
  };
  // 40 x 30 scores of two members and the ensemble, 5 bytes each, and the order of one label.
  CHECK(bytes_of({"run"}) == 3 * 1200 * 5 + 1200 * 8);
  CHECK(bytes_of({"run", "--rules", "mean,max"}) == 5 * 1200 * 5 + 1200 * 8);
  CHECK(bytes_of({"evaluate", "--rules", "mean,max"}) == 4 * 1200 * 5 + 1200 * 8);
  const PreparedForm numbers(labelled_forms()[1]);
  CHECK_FALSE(contains(Finished(numbers.place, {"plan", "e.yaml"}).out(), bound));
}

}  // namespace
}  // namespace tutti::test
