// Runs whose labels are not one class per image: masks, numbers, several labels. The figures of the report are compared
// with a plain computation over what the run wrote.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/labelled_runs.hpp"

namespace tutti::test {
namespace {

/// Compares the scores of both members and the ensemble in the report of `r` with `plain(predictions, scores)`.
void check_scores(const Workplace& place, const std::string& folder,
                  const std::function<void(const std::vector<float>&, const json::value&)>& plain) {
  const json::value report = place.report(folder);
  plain(floats_in(place, folder + "/members/a.npy"), report.at_pointer("/members/0/scores"));
  plain(floats_in(place, folder + "/members/b.npy"), report.at_pointer("/members/1/scores"));
  if (place.has(folder + "/predictions.npy"))
    plain(floats_in(place, folder + "/predictions.npy"), report.at_pointer("/ensemble/scores"));
  CHECK(report.at_pointer("/ensemble/accuracy").is_null());
}

double number(const json::value& scores, const std::string& name) {
  CAPTURE(name);
  REQUIRE(scores.is_object());
  REQUIRE(scores.at(name).is_number());
  return scores.at(name).to_number<double>();
}

// ---- masks ---------------------------------------------------------------------------------------------------------

void check_masks(const std::vector<float>& values, const json::value& scores) {
  const std::vector<std::int64_t> labels = mask_labels();
  std::vector<std::vector<std::uint64_t>> counts(3, std::vector<std::uint64_t>(3));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const float* const first = &values[i / 10 * 30 + i % 10];
    std::size_t best = 0;
    for (std::size_t c = 1; c < 3; ++c)
      if (first[c * 10] > first[best * 10]) best = c;
    if (labels[i] != 255) ++counts[static_cast<std::size_t>(labels[i])][best];
  }
  double all = 0;
  double right = 0;
  double iou_sum = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    double either = 0;
    for (std::size_t other = 0; other < 3; ++other) {
      all += static_cast<double>(counts[c][other]);
      either += static_cast<double>(counts[c][other]) + static_cast<double>(counts[other][c]);
      CHECK(scores.at("confusion_matrix").at(c).at(other) == counts[c][other]);
    }
    const auto both = static_cast<double>(counts[c][c]);
    right += both;
    iou_sum += both / (either - both);
  }
  CHECK(scores.at("kind") == "masks");
  CHECK(number(scores, "compared") == all);
  CHECK(number(scores, "pixel_accuracy") == doctest::Approx(right / all));
  CHECK(number(scores, "mean_iou") == doctest::Approx(iou_sum / 3));
}

TEST_CASE("masks are compared with labels of their size, except where a label is ignored") {
  const Workplace place(described("{rule: none}", "logits", ", ignore_index: 255"));
  write_images(place);
  write_npy(place / "y.npy", {2, 5}, mask_labels());
  const Finished run(place, {"run", "e.yaml", "output=r"});
  REQUIRE(run.code == 0);
  CHECK(contains(run.out(), "member    device       mIoU     pixels   seconds   images/s"));
  check_scores(place, "r", check_masks);
  CHECK(place.report("r").at_pointer("/ensemble/scores").is_null());
}

TEST_CASE("the masks of an ensemble are those that its rule decides for") {
  for (const char* rule : {"mean", "most_confident"}) {
    CAPTURE(rule);
    const Workplace place(described(std::string("{rule: ") + rule + "}", "logits", ", ignore_index: 255"));
    write_images(place);
    write_npy(place / "y.npy", {2, 5}, mask_labels());
    REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r"}).code == 0);
    check_scores(place, "r", check_masks);
    CHECK(place.report("r").at_pointer("/ensemble/scores").is_object());
  }
}

// ---- numbers -------------------------------------------------------------------------------------------------------

void check_numbers(const std::vector<float>& values, const json::value& scores) {
  const std::vector<float> labels = number_labels();
  double absolute = 0;
  double squares = 0;
  double r2 = 0;
  for (std::size_t output = 0; output < 30; ++output) {
    double mean = 0;
    double error = 0;
    double spread = 0;
    for (std::size_t i = output; i < labels.size(); i += 30) mean += static_cast<double>(labels[i]) / kImages;
    for (std::size_t i = output; i < labels.size(); i += 30) {
      const double distance = static_cast<double>(values[i]) - static_cast<double>(labels[i]);
      absolute += std::fabs(distance);
      error += distance * distance;
      spread += std::pow(static_cast<double>(labels[i]) - mean, 2);
    }
    squares += error;
    r2 += (1 - error / spread) / 30;
  }
  CHECK(scores.at("kind") == "values");
  CHECK(number(scores, "compared") == kImages * 30);
  CHECK(number(scores, "mean_absolute_error") == doctest::Approx(absolute / (kImages * 30)));
  CHECK(number(scores, "mean_squared_error") == doctest::Approx(squares / (kImages * 30)));
  CHECK(number(scores, "r2") == doctest::Approx(r2));
}

TEST_CASE("numbers are compared with labels of the shape of the predictions") {
  const Workplace place(kNumbers);
  write_images(place);
  write_npy(place / "y.npy", {3, 2, 5}, number_labels());
  const Finished run(place, {"run", "e.yaml", "output=r"});
  REQUIRE(run.code == 0);
  CHECK(contains(run.out(), "member    device        MAE         R2   seconds   images/s"));
  check_scores(place, "r", check_numbers);
}

TEST_CASE("a part of the images is compared with its labels") {
  const Workplace place(kNumbers);
  write_images(place);
  write_npy(place / "y.npy", {3, 2, 5}, number_labels());
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r", "input.skip=9", "input.limit=2"}).code == 0);
  const std::vector<float> values = floats_in(place, "r/predictions.npy");
  const std::vector<float> labels = number_labels();
  double absolute = 0;
  for (std::size_t i = 0; i < 60; ++i)
    absolute += std::fabs(static_cast<double>(values[i]) - static_cast<double>(labels[9 * 30 + i]));
  CHECK(number(place.report("r").at_pointer("/ensemble/scores"), "mean_absolute_error") ==
        doctest::Approx(absolute / 60));
}

/// Cuts a run short, resumes it, and compares the scores with those of a whole one.
void check_resumed(const Workplace& place) {
  const std::vector<std::string> words{"run", "e.yaml", "-q", "save_members=false", "on_worker_failure=fail"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = words;
    all.insert(all.end(), more.begin(), more.end());
    return Finished(place, all).code;
  };
  REQUIRE(with({"output=whole"}) == 0);
  // There are four slots, so the fifth segment, which ends the run, is read after the first is in the journal.
  REQUIRE(with({"output=cut", "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 8}]"}) == 1);
  REQUIRE(place.has("cut/journal"));
  REQUIRE(with({"output=cut", "--resume"}) == 0);
  const json::value whole = place.report("whole");
  const json::value cut = place.report("cut");
  CHECK(cut.at_pointer("/finished/resumed").to_number<int>() > 0);
  for (const char* scores : {"/members/0/scores", "/members/1/scores", "/ensemble/scores"}) {
    CHECK(cut.at_pointer(scores).is_object());
    CHECK(cut.at_pointer(scores) == whole.at_pointer(scores));
  }
}

TEST_CASE("a run over numbers that is resumed has the figures of an undisturbed one") {
  const Workplace place(kNumbers);
  write_images(place);
  write_npy(place / "y.npy", {3, 2, 5}, number_labels());
  check_resumed(place);
}

TEST_CASE("a run over masks that is resumed has the figures of an undisturbed one") {
  const Workplace place(described("{rule: mean}", "logits", ", ignore_index: 255"));
  write_images(place);
  write_npy(place / "y.npy", {2, 5}, mask_labels());
  check_resumed(place);
}

// ---- several labels ------------------------------------------------------------------------------------------------

void check_several(const std::vector<float>& values, const json::value& scores) {
  const std::vector<float> labels = several_labels();
  double accuracy = 0;
  double f1 = 0;
  double precision = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    double both = 0;
    double predicted = 0;
    double right = 0;
    double sum = 0;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (i / 10 % 3 == c) places.push_back(i);
    for (const std::size_t i : places) {
      both += values[i] > 0.5F && labels[i] == 1.0F ? 1 : 0;
      predicted += values[i] > 0.5F ? 1 : 0;
      right += labels[i] == 1.0F ? 1 : 0;
      if (labels[i] != 1.0F) continue;
      // The precision at the threshold of each right one, as if every threshold were tried.
      double above = 0;
      double right_above = 0;
      for (const std::size_t other : places) {
        if (values[other] < values[i]) continue;
        ++above;
        right_above += labels[other] == 1.0F ? 1 : 0;
      }
      sum += right_above / above;
    }
    accuracy += (kImages * 10 - (right + predicted - 2 * both)) / (kImages * 10) / 3;
    f1 += 2 * both / (right + predicted) / 3;
    precision += sum / right / 3;
  }
  CHECK(scores.at("kind") == "labels");
  CHECK(number(scores, "mean_accuracy") == doctest::Approx(accuracy));
  CHECK(number(scores, "macro_f1") == doctest::Approx(f1));
  CHECK(number(scores, "mean_average_precision") == doctest::Approx(precision));
  CHECK(scores.at("left_out").is_null());
}

TEST_CASE("several labels per image are compared one by one") {
  const Workplace place(described("{rule: mean, activation: sigmoid}"));
  write_images(place);
  write_npy(place / "y.npy", {3, 2, 5}, several_labels());
  const Finished run(place, {"run", "e.yaml", "output=r"});
  REQUIRE(run.code == 0);
  CHECK(contains(run.out(), "member    device         F1        mAP   seconds   images/s"));
  check_scores(place, "r", check_several);
}

// ---- what does not fit ---------------------------------------------------------------------------------------------

TEST_CASE("a run over several labels that is resumed has the figures of an undisturbed one") {
  const Workplace place(described("{rule: mean, activation: sigmoid}"));
  write_images(place);
  write_npy(place / "y.npy", {3, 2, 5}, several_labels());
  check_resumed(place);
}

TEST_CASE("labels that do not fit the predictions end a run before it predicts") {
  const Workplace place(described("{rule: none}"));
  write_images(place);
  write_npy(place / "y.npy", {4, 4}, std::vector<std::int64_t>(kImages * 16));
  const Finished size(place, {"run", "e.yaml", "-q", "output=r"});
  CHECK(size.code == 2);
  CHECK(contains(size.err(), "y.npy cannot be compared with the predictions"));
  CHECK(contains(size.err(), "the label of an image is 4x4, but 'a' predicts 3x2x5, which needs labels of 2x5"));
  write_npy(place / "y.npy", {2, 5}, mask_labels());
  const Finished classes(place, {"run", "e.yaml", "-q", "output=r"});
  CHECK(classes.code == 2);
  CHECK(contains(classes.err(), "they have 256 classes, but 'a' predicts 3"));
  write_npy(place / "y.npy", {}, std::vector<std::int64_t>(kImages));
  const Finished one(place, {"run", "e.yaml", "-q", "output=r"});
  CHECK(one.code == 2);
  CHECK(contains(one.err(), "it has one class per image, but 'a' predicts 3x2x5"));
  write_npy(place / "y.npy", {2, 5}, std::vector<float>(kImages * 10));
  const Finished floats(place, {"run", "e.yaml", "-q", "output=r"});
  CHECK(floats.code == 2);
  CHECK(contains(floats.err(), "y.npy cannot be used as labels"));
  CHECK_FALSE(place.has("r/report.json"));
}

}  // namespace
}  // namespace tutti::test
