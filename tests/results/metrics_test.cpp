// Tests of accuracy, loss, calibration error and confusion matrix.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "results/metrics.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::images {
namespace {

using Classes = std::vector<std::int64_t>;
using Scores = std::vector<float>;

TEST_CASE("no images have neither accuracy nor loss") {
  const Metrics metrics(3);
  CHECK(metrics.images() == 0);
  CHECK_FALSE(metrics.accuracy());
  CHECK_FALSE(metrics.loss());
  CHECK(metrics.confusion() == std::vector<std::uint64_t>(9, 0));
  CHECK_FALSE(metrics.per_class_accuracy()[0]);
}

TEST_CASE("the loss of probabilities is the mean of minus the logarithm of the label's") {
  Metrics metrics(2);
  metrics.add(Classes{0, 1}, Scores{0.25F, 0.75F, 0.5F, 0.5F}, Classes{1, 0}, ScoreKind::probabilities);
  metrics.add(Classes{1}, Scores{0.125F, 0.875F}, Classes{1}, ScoreKind::probabilities);
  CHECK(metrics.images() == 3);
  CHECK(*metrics.accuracy() == doctest::Approx(1.0 / 3));
  CHECK(*metrics.loss() == doctest::Approx(-(std::log(0.25) + std::log(0.5) + std::log(0.875)) / 3));
}

TEST_CASE("metrics are over images and not over segments") {
  Metrics parts(2);
  Metrics whole(2);
  const Classes labels{0, 0, 1};
  const Scores scores{0.9F, 0.1F, 0.2F, 0.8F, 0.3F, 0.7F};
  const Classes predicted{0, 1, 1};
  whole.add(labels, scores, predicted, ScoreKind::probabilities);
  parts.add(Classes{0, 0}, std::span(scores).first(4), Classes{0, 1}, ScoreKind::probabilities);
  parts.add(Classes{1}, std::span(scores).last(2), Classes{1}, ScoreKind::probabilities);
  parts.add({}, {}, {}, ScoreKind::probabilities);
  CHECK(parts.accuracy() == whole.accuracy());
  CHECK(parts.loss() == whole.loss());
  CHECK(*whole.accuracy() == doctest::Approx(2.0 / 3));
}

TEST_CASE("the loss of logits is that of their softmax and large logits do not overflow") {
  Metrics metrics(3);
  metrics.add(Classes{2}, Scores{1.0F, 2.0F, 3.0F}, Classes{2}, ScoreKind::logits);
  CHECK(*metrics.loss() == doctest::Approx(std::log(std::exp(-2.0) + std::exp(-1.0) + 1.0)));
  Metrics large(2);
  large.add(Classes{1}, Scores{1000.0F, 990.0F}, Classes{0}, ScoreKind::logits);
  CHECK(*large.loss() == doctest::Approx(10.0 + std::log1p(std::exp(-10.0))));
}

TEST_CASE("scores that do not sum to one are taken as shares of their sum") {
  Metrics metrics(2);
  metrics.add(Classes{0}, Scores{1.0F, 3.0F}, Classes{1}, ScoreKind::probabilities);
  CHECK(*metrics.loss() == doctest::Approx(-std::log(0.25)));
}

TEST_CASE("the loss of logits is clamped like that of probabilities") {
  Metrics metrics(2);
  metrics.add(std::vector<std::int64_t>{1}, std::vector<float>{1000, 0}, std::vector<std::int64_t>{0},
              ScoreKind::logits);
  CHECK(*metrics.loss() == doctest::Approx(-std::log(1e-12)));
}

TEST_CASE("a probability of zero has a large but finite loss") {
  Metrics metrics(2);
  metrics.add(Classes{0, 1}, Scores{0.0F, 1.0F, 0.0F, 0.0F}, Classes{1, 0}, ScoreKind::probabilities);
  CHECK(*metrics.loss() == doctest::Approx(-std::log(1e-12)));
}

TEST_CASE("the calibration error weighs the gap of each bin with its images") {
  Metrics metrics(2);
  CHECK_FALSE(metrics.calibration_error());
  // Three images at a confidence of 0.75, two of them right; one at 0.95, wrong.
  metrics.add(Classes{0, 0, 1, 1}, Scores{0.75F, 0.25F, 0.75F, 0.25F, 0.75F, 0.25F, 0.95F, 0.05F}, Classes{0, 0, 0, 0},
              ScoreKind::probabilities);
  CHECK(*metrics.calibration_error() == doctest::Approx(3.0 / 4 * (0.75 - 2.0 / 3) + 1.0 / 4 * 0.95));
}

TEST_CASE("gaps cancel within a bin and not between bins and an edge belongs to the bin below it") {
  // 0.70 and 0.72 are in (10/15, 11/15]: their mean is 0.71, one of the two is right.
  Metrics one_bin(2);
  one_bin.add(Classes{0, 1}, Scores{0.70F, 0.30F, 0.72F, 0.28F}, Classes{0, 0}, ScoreKind::probabilities);
  CHECK(*one_bin.calibration_error() == doctest::Approx(0.21));
  // 0.8 is 12/15, the upper edge of its bin; 0.82 is in the next.
  Metrics two_bins(2);
  two_bins.add(Classes{0, 1}, Scores{0.8F, 0.2F, 0.82F, 0.18F}, Classes{0, 0}, ScoreKind::probabilities);
  CHECK(*two_bins.calibration_error() == doctest::Approx((0.2 + 0.82) / 2));
}

TEST_CASE("the confidence is the share of the predicted class also if another one is larger") {
  Metrics metrics(2);
  metrics.add(Classes{0}, Scores{1.0F, 3.0F}, Classes{0}, ScoreKind::probabilities);
  CHECK(*metrics.calibration_error() == doctest::Approx(0.75));
  Metrics logits(2);
  logits.add(Classes{1}, Scores{1000.0F, 1000.0F}, Classes{1}, ScoreKind::logits);
  CHECK(*logits.calibration_error() == doctest::Approx(0.5));
  Metrics nothing(2);
  nothing.add(Classes{0}, Scores{0.0F, 0.0F}, Classes{0}, ScoreKind::probabilities);
  CHECK(*nothing.calibration_error() == doctest::Approx(1.0));
}

TEST_CASE("a score that is not a number gives a loss that is none") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ScoreKind kind : {ScoreKind::probabilities, ScoreKind::logits}) {
    Metrics metrics(2);
    metrics.add(Classes{0}, Scores{nan, 1.0F}, Classes{1}, kind);
    CHECK(std::isnan(*metrics.loss()));
    CHECK(std::isnan(*metrics.calibration_error()));
    CHECK(*metrics.accuracy() == 0.0);
  }
}

TEST_CASE("the predicted class is taken as given and not read off the scores") {
  Metrics metrics(2);
  metrics.add(Classes{0}, Scores{0.5F, 0.5F}, Classes{1}, ScoreKind::probabilities);
  CHECK(metrics.accuracy() == 0.0);
}

TEST_CASE("the confusion matrix has a row per label and gives the accuracy per class") {
  Metrics metrics(3);
  metrics.add(Classes{0, 0, 0, 2}, Scores(12, 0.25F), Classes{0, 0, 1, 1}, ScoreKind::probabilities);
  CHECK(metrics.classes() == 3);
  CHECK(metrics.confusion() == std::vector<std::uint64_t>{2, 1, 0, 0, 0, 0, 0, 1, 0});
  const auto per_class = metrics.per_class_accuracy();
  REQUIRE(per_class.size() == 3);
  CHECK(*per_class[0] == doctest::Approx(2.0 / 3));
  CHECK_FALSE(per_class[1]);
  CHECK(*per_class[2] == 0.0);
}

TEST_CASE("images that are skipped count for nothing but the place of those after them") {
  Metrics metrics(2);
  metrics.skip(5);
  CHECK_FALSE(metrics.accuracy());
  CHECK_FALSE(metrics.loss());
  metrics.add(Classes{0}, Scores{0.75F, 0.25F}, Classes{0}, ScoreKind::probabilities);
  metrics.skip(2);
  CHECK(metrics.images() == 1);
  CHECK(*metrics.accuracy() == 1.0);
  CHECK(metrics.confusion() == std::vector<std::uint64_t>{1, 0, 0, 0});
  const auto error = test::error_of([&] {
    metrics.add(Classes{0, 2}, Scores(4, 0.5F), Classes{0, 0}, ScoreKind::probabilities);
  });
  REQUIRE(error);
  CHECK(error->message() == "the label of image 9 is 2");
}

TEST_CASE("up to a thousand classes have a confusion matrix and more have only their accuracy") {
  Metrics few(kMaxConfusionClasses);
  CHECK(few.confusion().size() == std::size_t{kMaxConfusionClasses} * kMaxConfusionClasses);
  constexpr std::uint32_t kMany = kMaxConfusionClasses + 1;
  Metrics many(kMany);
  many.add(Classes{1000, 1000, 1000, 3}, Scores(4 * kMany, 1.0F), Classes{1000, 0, 1000, 3}, ScoreKind::probabilities);
  CHECK(many.confusion().empty());
  CHECK(many.classes() == kMany);
  CHECK(*many.accuracy() == 0.75);
  const auto per_class = many.per_class_accuracy();
  REQUIRE(per_class.size() == kMany);
  CHECK(*per_class[1000] == doctest::Approx(2.0 / 3));
  CHECK(*per_class[3] == 1.0);
  CHECK_FALSE(per_class[0]);
}

TEST_CASE("a label that is not a class of the predictions is an error that names the image") {
  Metrics metrics(3);
  metrics.add(Classes{0, 1}, Scores(6, 0.25F), Classes{0, 1}, ScoreKind::probabilities);
  for (const std::int64_t wrong : {3, -1}) {
    const auto error =
        test::error_of([&] { metrics.add(Classes{wrong}, Scores(3, 0.25F), Classes{0}, ScoreKind::probabilities); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "the label of image 2 is " + std::to_string(wrong));
    CHECK(error->detail() == "the predictions have 3 classes, so classes are 0 to 2");
    CHECK(error->hint() == "give images whose labels are classes of the models");
  }
  const auto error =
      test::error_of([&] { metrics.add(Classes{0}, Scores(3, 0.25F), Classes{3}, ScoreKind::probabilities); });
  REQUIRE(error);
  CHECK(error->message() == "the predicted class of image 2 is 3");
}

}  // namespace
}  // namespace tutti::images
