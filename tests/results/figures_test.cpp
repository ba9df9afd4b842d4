// The figures of masks, numbers and several labels, against numbers that were computed by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "results/figures.hpp"
#include "results/metrics.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::images {
namespace {

using Places = std::vector<std::int64_t>;
using Row = std::vector<float>;
using Known = std::vector<std::optional<double>>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("nothing that was compared has no figures") {
  const Figures masks = figures_of(MaskMetrics(2, {}));
  CHECK_FALSE(masks.value("pixel_accuracy"));
  CHECK_FALSE(masks.value("mean_iou"));
  CHECK(masks.confusion_matrix == std::vector<std::vector<std::uint64_t>>{{0, 0}, {0, 0}});
  const Figures values = figures_of(RegressionMetrics(2));
  CHECK_FALSE(values.value("mean_absolute_error"));
  CHECK_FALSE(values.value("r2"));
  const Figures labels = figures_of(MultiLabelMetrics({2}));
  for (const Figure& figure : labels.figures) CHECK_FALSE(figure.value);
}

TEST_CASE("a mask counts place by place, and the figures are of the whole set") {
  MaskMetrics metrics(3, {});
  metrics.add(Places{0, 0, 0, 1}, Places{0, 0, 1, 1}, 0);
  metrics.add(Places{1, 0, 0, 0}, Places{0, 0, 0, 0}, 1);
  CHECK(metrics.places() == 8);
  CHECK(*metrics.accuracy() == 6.0 / 8);
  CHECK(metrics.iou() == Known{5.0 / 7, 1.0 / 3, std::nullopt});
  CHECK(metrics.dice() == Known{10.0 / 12, 2.0 / 4, std::nullopt});
  CHECK(metrics.confusion() == std::vector<std::uint64_t>{5, 1, 0, 1, 1, 0, 0, 0, 0});
  CHECK(*figures_of(metrics).value("mean_iou") == (5.0 / 7 + 1.0 / 3) / 2);
}

TEST_CASE("a class that is only predicted counts with 0") {
  MaskMetrics metrics(2, {});
  metrics.add(Places{0, 0}, Places{0, 1}, 0);
  CHECK(metrics.iou() == Known{0.5, 0.0});
}

TEST_CASE("places with the ignored label count nowhere, whatever was predicted there") {
  MaskMetrics metrics(2, -1);
  metrics.add(Places{-1, 0, -1, 1}, Places{1, 0, 0, 0}, 0);
  CHECK(metrics.places() == 2);
  CHECK(*metrics.accuracy() == 0.5);
  CHECK(metrics.confusion() == std::vector<std::uint64_t>{1, 0, 1, 0});
}

TEST_CASE("a label of a mask that is no class is an error that names image and place") {
  MaskMetrics metrics(2, 255);
  const auto error = test::error_of([&] { metrics.add(Places{0, 255, 7}, Places{0, 0, 0}, 12); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the label of image 12 at place 2 is 7");
  CHECK(error->detail() == "the predictions have 2 classes, so classes are 0 to 1");
  CHECK(error->hint() == "number the classes from 0; if 7 marks places to leave out, set 'ignore_index: 7'");
  CHECK(test::error_of([&] { metrics.add(Places{-3}, Places{0}, 0); }));
  CHECK(test::error_of([&] { metrics.add(Places{0}, Places{-1}, 0); }));
}

TEST_CASE("masks of very many classes have no confusion matrix and all other figures") {
  MaskMetrics metrics(kMaxConfusionClasses + 1, {});
  metrics.add(Places{kMaxConfusionClasses, 0}, Places{kMaxConfusionClasses, 1}, 0);
  CHECK(metrics.confusion().empty());
  CHECK(figures_of(metrics).confusion_matrix.empty());
  CHECK(*metrics.iou()[kMaxConfusionClasses] == 1.0);
}

TEST_CASE("the errors of numbers are means over images and outputs") {
  RegressionMetrics metrics(2);
  metrics.add(Row{1, 10, 3, 30}, Row{2, 10, 3, 26});
  CHECK(*metrics.mean_absolute_error() == 5.0 / 4);
  CHECK(*metrics.mean_squared_error() == 17.0 / 4);
  // 1 - 1 / 2 and 1 - 16 / 200
  CHECK(*metrics.r2() == doctest::Approx((0.5 + 0.92) / 2));
}

TEST_CASE("an output with equal labels has an R2 of 1 if it is predicted exactly and otherwise of 0") {
  RegressionMetrics metrics(3);
  metrics.add(Row{1, 5, 7, 3, 5, 7}, Row{2, 5, 7, 3, 4, 7});
  CHECK(*metrics.r2() == doctest::Approx((0.5 + 0 + 1) / 3));
  RegressionMetrics constant(1);
  constant.add(Row{0.1F, 0.1F, 0.1F}, Row{0.1F, 0.2F, 0.3F});
  CHECK(*constant.r2() == 0.0);
  RegressionMetrics unknown(1);
  unknown.add(Row{2, 2}, Row{2, kNan});
  CHECK(std::isnan(*unknown.r2()));
  // One image has no spread: scikit-learn has no R2 of it either.
  RegressionMetrics single(1);
  single.add(Row{1}, Row{1});
  CHECK_FALSE(single.r2());
  CHECK(single.mean_absolute_error());
}

TEST_CASE("a prediction that is NaN makes the figures of numbers NaN") {
  RegressionMetrics metrics(1);
  metrics.add(Row{1, 2}, Row{1, kNan});
  CHECK(std::isnan(*metrics.mean_absolute_error()));
  CHECK(std::isnan(*metrics.r2()));
}

TEST_CASE("several labels count one by one") {
  MultiLabelMetrics metrics({3});
  metrics.add(Row{1, 0, 0, 1, 0, 0, 0, 1, 0}, Row{0.9F, 0.6F, 0.1F, 0.2F, 0.5F, 0.0F, 0.4F, 0.7F, 0.2F});
  CHECK(metrics.values() == 9);
  CHECK(metrics.accuracy() == Known{2.0 / 3, 2.0 / 3, 1.0});
  CHECK(metrics.f1() == Known{2.0 / 3, 2.0 / 3, std::nullopt});
  CHECK(*metrics.micro_f1() == 4.0 / 6);
  // Label 0: 0.9 right, 0.4 wrong, 0.2 right: 1/2 x 1 + 1/2 x 2/3.
  CHECK(*metrics.average_precision()[0] == doctest::Approx(0.5 + 0.5 * 2 / 3));
  CHECK(*metrics.average_precision()[1] == 1.0);
  CHECK_FALSE(metrics.average_precision()[2]);
}

TEST_CASE("equal scores are one threshold, in whatever order they came") {
  MultiLabelMetrics first({1});
  first.add(Row{1, 0, 0, 1}, Row{0.5F, 0.5F, 0.5F, 0.25F});
  MultiLabelMetrics second({1});
  second.add(Row{0, 0, 1, 1}, Row{0.5F, 0.5F, 0.5F, 0.25F});
  CHECK(*first.average_precision()[0] == doctest::Approx(0.5 / 3 + 0.5 * 2 / 4));
  CHECK(first.average_precision() == second.average_precision());
}

TEST_CASE("masks of several labels count all places of a label together") {
  MultiLabelMetrics metrics({2, 2});
  metrics.add(Row{1, 0, 0, 0}, Row{0.9F, 0.8F, 0.1F, 0.1F});
  metrics.add(Row{1, 1, 1, 0}, Row{0.9F, 0.8F, 0.1F, 0.1F});
  CHECK(metrics.accuracy() == Known{3.0 / 4, 3.0 / 4});
  CHECK(metrics.f1() == Known{6.0 / 7, 0.0});
}

TEST_CASE("scores that are no probabilities have only an average precision") {
  MultiLabelMetrics metrics({1, 1, std::nullopt});
  metrics.add(Row{1, 0}, Row{3, 2});
  const Figures figures = figures_of(metrics);
  CHECK_FALSE(figures.value("mean_accuracy"));
  CHECK_FALSE(figures.value("macro_f1"));
  CHECK_FALSE(figures.value("micro_f1"));
  CHECK(*figures.value("mean_average_precision") == 1.0);
}

TEST_CASE("beyond the bound scores are not held, and the report says what is missing") {
  MultiLabelMetrics metrics({2, 1, 0.5, 4});
  metrics.add(Row{1, 0, 0, 1}, Row{0.9F, 0.1F, 0.2F, 0.7F});
  CHECK(figures_of(metrics).value("mean_average_precision"));
  metrics.add(Row{1, 0}, Row{0.9F, 0.1F});
  const Figures figures = figures_of(metrics);
  CHECK_FALSE(figures.value("mean_average_precision"));
  CHECK(*figures.value("macro_f1") == 1.0);
  REQUIRE(figures.left_out);
  CHECK(*figures.left_out == "average precision: it needs all scores at once, and at most 64000000 are held for a run");
}

TEST_CASE("if more scores are announced than are held, none is held from the start") {
  MultiLabelMetrics fits({2, 1, 0.5, 4, 4});
  fits.add(Row{1, 0, 0, 1}, Row{0.9F, 0.1F, 0.2F, 0.7F});
  CHECK(fits.holds_scores());
  CHECK(figures_of(fits).value("mean_average_precision"));
  MultiLabelMetrics metrics({2, 1, 0.5, 4, 5});
  CHECK_FALSE(metrics.holds_scores());
  metrics.add(Row{1, 0}, Row{0.9F, 0.1F});
  CHECK_FALSE(figures_of(metrics).value("mean_average_precision"));
  CHECK(figures_of(metrics).left_out);
}

TEST_CASE("a score that is NaN makes the average precision of its label NaN and is not predicted") {
  MultiLabelMetrics metrics({2});
  metrics.add(Row{1, 1, 0, 0}, Row{kNan, 0.9F, 0.8F, 0.1F});
  CHECK(std::isnan(*metrics.average_precision()[0]));
  CHECK(*metrics.average_precision()[1] == 1.0);
  CHECK(metrics.f1() == Known{0.0, 1.0});
}

TEST_CASE("the figures do not depend on how the images are cut into calls") {
  Row labels;
  Row values;
  for (int i = 0; i < 40; ++i) {
    labels.push_back(static_cast<float>(i * 7 % 5) / 3.0F);
    values.push_back(static_cast<float>(i * 11 % 7) / 3.0F);
  }
  RegressionMetrics whole(2);
  whole.add(labels, values);
  RegressionMetrics parts(2);
  for (std::size_t first = 0; first < 40; first += 8)
    parts.add(std::span(labels).subspan(first, 8), std::span(values).subspan(first, 8));
  CHECK(parts.mean_absolute_error() == whole.mean_absolute_error());
  CHECK(parts.mean_squared_error() == whole.mean_squared_error());
  CHECK(parts.r2() == whole.r2());
}

}  // namespace
}  // namespace tutti::images
