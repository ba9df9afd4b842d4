// `tutti combine --predictions`: arrays that were computed elsewhere give the bytes and figures of a run whose members
// predict the same.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "common/half.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/integration/labelled_runs.hpp"

namespace tutti::test {
namespace {

struct SavedArrays {
  explicit SavedArrays(const std::string& yaml = described("{rule: mean}", "logits", ", ignore_index: 255"),
                       const std::vector<std::string>& more = {})
      : place(yaml) {
    write_images(place);
    write_npy(place / "y.npy", {2, 5}, mask_labels());
    run("saved", more);
  }
  void run(const std::string& folder, std::vector<std::string> more) const {
    more.insert(more.begin(), {"run", "e.yaml", "-q", "output=" + folder});
    REQUIRE(Finished(place, more).code == 0);
  }
  /// Combines the two arrays, with further words before them.
  Finished combine(const std::string& folder, std::vector<std::string> more = {},
                   const std::string& a = "saved/members/a.npy", const std::string& b = "saved/members/b.npy") const {
    more.insert(more.begin(), {"combine", "-q", "-o", folder});
    more.insert(more.end(), {"--predictions", a, b});
    return {place, more};
  }
  std::string refusal(std::vector<std::string> more = {}, const std::string& a = "saved/members/a.npy",
                      const std::string& b = "saved/members/b.npy") const {
    const Finished refused = combine("refused", std::move(more), a, b);
    CHECK(refused.code == 2);
    CHECK_FALSE(place.has("refused"));
    return refused.err();
  }
  Workplace place;
};

const std::vector<std::string> kAllRules{"mean",           "sum",  "weighted", "max",
                                         "most_confident", "vote", "median",   "geometric_mean"};

TEST_CASE("arrays of masks combined by any rule give the bytes and figures of a run by that rule") {
  const SavedArrays saved;
  std::string rules;
  for (const std::string& rule : kAllRules) rules += (rules.empty() ? "" : ",") + rule;
  const Finished combined =
      saved.combine("c", {"--rules", rules, "--weights", "1,2", "--labels", "y.npy", "--ignore-index", "255"});
  CAPTURE(combined.err());
  REQUIRE(combined.code == 0);
  const json::value report = saved.place.report("c");
  CHECK(report.at("command") == "combine");
  CHECK(report.at("completed") == true);
  CHECK(report.at_pointer("/evaluation/tasks/0/name") == "predictions");
  CHECK(report.at_pointer("/members/0/kind") == "saved");
  CHECK(contains(std::string(report.at("configuration").as_string()),
                 "kind: saved, predictions: \"saved/members/a.npy\""));
  for (std::size_t rule = 0; rule < kAllRules.size(); ++rule) {
    CAPTURE(kAllRules[rule]);
    saved.run(kAllRules[rule], {"combine.rule=" + kAllRules[rule], "members.1.weight=2", "save_members=false"});
    for (const char* file : {"/predictions.npy", "/predicted.npy"})
      CHECK(saved.place.read("c/" + kAllRules[rule] + file) == saved.place.read(kAllRules[rule] + file));
    CHECK(report.at_pointer("/evaluation/models/" + std::to_string(2 + rule) + "/tasks/predictions/scores") ==
          saved.place.report(kAllRules[rule]).at_pointer("/ensemble/scores"));
  }
}

TEST_CASE("arrays of numbers and of several labels are combined as a run combines them") {
  {
    const SavedArrays saved(described("{rule: mean, over: values}", "values"), {"input.labels=null"});
    write_npy(saved.place / "n.npy", {3, 2, 5}, number_labels());
    // Settings may follow the arrays.
    const Finished combined(saved.place, {"combine", "-q", "-o", "c", "--predictions", "saved/members/a.npy",
                                          "saved/members/b.npy", "combine.over=values", "--labels", "n.npy"});
    CAPTURE(combined.err());
    REQUIRE(combined.code == 0);
    CHECK(saved.place.read("c/mean/predictions.npy") == saved.place.read("saved/predictions.npy"));
    CHECK_FALSE(saved.place.has("c/mean/predicted.npy"));
    saved.run("r", {"input.labels=n.npy"});
    CHECK(saved.place.report("c").at_pointer("/evaluation/models/2/tasks/predictions/scores") ==
          saved.place.report("r").at_pointer("/ensemble/scores"));
  }
  const SavedArrays saved(kSeveral, {"input.labels=null"});
  const Finished combined =
      saved.combine("c", {"combine.activation=sigmoid", "combine.rule=geometric_mean", "combine.accumulate=float64"});
  CAPTURE(combined.err());
  REQUIRE(combined.code == 0);
  saved.run("r", {"input.labels=null", "combine={activation: sigmoid, rule: geometric_mean, accumulate: float64}"});
  CHECK(saved.place.read("c/geometric_mean/predictions.npy") == saved.place.read("r/predictions.npy"));
}

TEST_CASE("rows of classes have accuracy, loss and disagreement") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "save_members=true", "output=saved"}).code == 0);
  const Finished combined(place, {"combine", "--labels", "saved/labels.npy", "-o", "c", "--predictions",
                                  "first=saved/members/a.npy", "second=saved/members/b.npy"});
  REQUIRE(combined.code == 0);
  CHECK(contains(combined.out(), "ensemble mean"));
  const json::value report = place.report("c");
  CHECK(report.at_pointer("/evaluation/models/1/name") == "second");
  CHECK(report.at_pointer("/evaluation/models/2/average/loss") == place.report("saved").at_pointer("/ensemble/loss"));
  CHECK(place.has("c/disagreement.npy"));
  CHECK(place.read("c/mean/predicted.npy") == place.read("saved/predicted.npy"));
}

TEST_CASE("logits become probabilities as in a run") {
  for (const std::string activation : {"softmax", "sigmoid"}) {
    CAPTURE(activation);
    const SavedArrays saved(described("{rule: mean, over: logits}"), {"input.labels=null"});
    REQUIRE(saved.combine("c", {"--logits", "combine.activation=" + activation}).code == 0);
    saved.run("r", {"input.labels=null", "combine={rule: mean, activation: " + activation + "}"});
    CHECK(saved.place.read("c/mean/predictions.npy") == saved.place.read("r/predictions.npy"));
  }
}

TEST_CASE("float16 and float64 are combined as the float32 that they are") {
  const Workplace place;
  write_array<float>(place / "a.npy", "<f4", "(2, 2)", {0.25F, 0.75F, 1, 0});
  write_array<double>(place / "wide.npy", "<f8", "(2, 2)", {0.5, 0.5, 0, 1});
  write_array<std::uint16_t>(place / "half.npy", "<f2", "(2, 2)",
                             {half_of_float(0.5F), half_of_float(0.5F), half_of_float(0), half_of_float(1)});
  write_array<float>(place / "b.npy", "<f4", "(2, 2)", {0.5F, 0.5F, 0, 1});
  for (const char* name : {"b", "wide", "half"})
    REQUIRE(Finished(place, {"combine", "-q", "-o", name, "--predictions", "a.npy", std::string(name) + ".npy"}).code ==
            0);
  for (const char* name : {"wide", "half"}) CHECK(different_results(place, name, "b").empty());
}

TEST_CASE("predictions that do not fit together are refused and named") {
  const SavedArrays saved;
  const Workplace& place = saved.place;
  const std::string other = "other.npy";
  const auto with = [&](const std::string& shape, std::size_t values) {
    write_array<float>(place / other, "<f4", shape, std::vector<float>(values, 1.0F / 3));
    return saved.refusal({}, "saved/members/a.npy", other);
  };
  CHECK(
      contains(with("(39, 3, 2, 5)", 39 * 30),
               "other.npy cannot be combined\n  detail: it has predictions for 39 samples, and saved/members/a.npy has "
               "40"));
  CHECK(contains(with("(40, 3, 10)", 1200), "it has predictions of 3x10 per image, saved/members/a.npy has 3x2x5"));
  CHECK(contains(with("(40, 4, 2, 5)", 1600), "it has predictions of 4x2x5 per image"));
  CHECK(contains(saved.refusal({}, "none.npy"), "cannot read none.npy"));
  CHECK(contains(saved.refusal({"combine.axis=4"}), "there is no axis 4 with classes"));
  write_array<float>(place / other, "<f4", "(40, 1)", std::vector<float>(40, 1));
  CHECK(contains(saved.refusal({}, other, "x=other.npy"),
                 "other.npy has one value along axis 1, and a decision needs two classes or more"));
  write_file(place / other, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 24\n");
  CHECK(contains(saved.refusal({}, "saved/members/a.npy", other), "Git LFS"));
  CHECK(contains(saved.refusal({"--rules", "mean,vote", "combine.over=values"}),
                 "rule vote decides between classes and cannot combine values"));
  CHECK(contains(saved.refusal({"--weights", "1", "--rules", "weighted"}), "--weights lists 1 weight for 2 members"));
}

TEST_CASE("values that are no probabilities or no numbers are refused with their place and nothing is left") {
  const SavedArrays saved;
  std::vector<float> values(1200, 1.0F / 3);
  values[31 * 30 + 4] = 0.9F;
  write_array<float>(saved.place / "other.npy", "<f4", "(40, 3, 2, 5)", values);
  CHECK(contains(saved.refusal({}, "saved/members/a.npy", "other.npy"),
                 "other.npy cannot be combined\n  detail: prediction 31 has probabilities of classes along axis 1"));
  values[31 * 30 + 4] = std::numeric_limits<float>::quiet_NaN();
  write_array<float>(saved.place / "other.npy", "<f4", "(40, 3, 2, 5)", values);
  CHECK(contains(saved.refusal({}, "saved/members/a.npy", "other.npy"),
                 "other.npy cannot be combined\n  detail: prediction 31 is NaN or infinite"));
  CHECK(saved.combine("allowed", {"on_nan=allow"}, "saved/members/a.npy", "other.npy").code == 0);
}

TEST_CASE("labels that do not fit the arrays are refused") {
  const SavedArrays saved;
  write_array<std::int64_t>(saved.place / "few.npy", "<i8", "(39, 2, 5)", std::vector<std::int64_t>(390));
  CHECK(contains(saved.refusal({"--labels", "few.npy"}), "it has labels for 39 images, and there are 40"));
  write_npy(saved.place / "size.npy", {4, 4}, std::vector<std::int64_t>(kImages * 16));
  CHECK(contains(saved.refusal({"--labels", "size.npy"}),
                 "size.npy cannot be compared with the predictions\n  detail: the label of an image is 4x4"));
  write_npy(saved.place / "one.npy", {}, std::vector<std::int64_t>(kImages));
  CHECK(contains(saved.refusal({"--labels", "one.npy"}), "it has one class per image, but 'a' predicts 3x2x5"));
  CHECK(contains(saved.refusal({"--labels", "y.npy"}), "they have 256 classes, but 'a' predicts 3"));
  write_npy(saved.place / "floats.npy", {2, 5}, std::vector<float>(kImages * 10));
  CHECK(contains(saved.refusal({"--labels", "floats.npy"}), "floats.npy cannot be used as labels"));
}

TEST_CASE("a command line that says neither or both is refused") {
  const SavedArrays saved;
  const auto refused = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "combine");
    const Finished program(saved.place, words);
    CHECK(program.code == 2);
    return program.err();
  };
  CHECK(contains(refused({}), "there is nothing to combine"));
  CHECK(contains(refused({"saved", "--labels", "y.npy"}), "belong to '--predictions'"));
  CHECK(contains(refused({"saved", "--predictions", "y.npy"}), "'saved' and --predictions cannot be combined at once"));
  CHECK(
      contains(refused({"saved/predictions.npy"}), "arrays are combined with --predictions saved/predictions.npy ..."));
}

TEST_CASE("what a run saved is not combined as what another activation would have made") {
  const SavedArrays saved(described("{rule: mean}"), {"input.labels=null"});
  const Finished combined(saved.place, {"combine", "saved", "combine.activation=sigmoid"});
  CHECK(combined.code == 2);
  CHECK(contains(combined.err(),
                 "the run made probabilities by 'softmax', and they cannot be combined as those of 'sigmoid'"));
}

TEST_CASE("arrays have tables of numbers for --csv, and only if one class is decided for each sample") {
  const Workplace place(kTwoFakes);
  REQUIRE(
      Finished(place, {"run", "e.yaml", "-q", "save_members=true", "output=saved", "--csv", "id,label,classes"}).code ==
      0);
  const auto combine = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"combine", "-q", "-o", "c", "--csv", "id,label,classes"});
    more.insert(more.end(), {"--predictions", "saved/members/a.npy", "saved/members/b.npy"});
    return Finished(place, more);
  };
  REQUIRE(combine({}).code == 0);
  CHECK(place.read("c/mean/predictions.csv") == place.read("saved/predictions.csv"));
  // A later command without the option does not leave the table of an earlier one.
  REQUIRE(Finished(place, {"combine", "-q", "saved", "-o", "c"}).code == 0);
  CHECK_FALSE(place.has("c/mean/predictions.csv"));
  const SavedArrays masks;
  const std::string refused = masks.refusal({"--csv", "id,label"});
  CHECK(contains(refused, "--csv needs predictions of one class per image, and these are not"));
}

TEST_CASE("arrays in the folder of the results stay") {
  const SavedArrays saved;
  REQUIRE(saved.combine("saved").code == 0);
  CHECK(saved.place.has("saved/members/a.npy"));
  CHECK(saved.place.has("saved/mean/predictions.npy"));
  CHECK(saved.place.report("saved").at("command") == "combine");
}

}  // namespace
}  // namespace tutti::test
