// The figures of masks, numbers and several labels, compared with those that scikit-learn 1.9.1 computed of the same
// inputs; data/sklearn_figures.py prints them.
#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "results/figures.hpp"

namespace tutti::images {
namespace {

/// A number below 2^24 that looks random, the same as in the script.
std::uint32_t mixed(std::uint32_t number) {
  std::uint32_t x = number * 2654435761U;
  x ^= x >> 15;
  x *= 2246822519U;
  x ^= x >> 13;
  return x >> 8;
}

float unit(std::uint32_t number) { return static_cast<float>(mixed(number)) / static_cast<float>(1U << 24); }

doctest::Approx near(double value) { return doctest::Approx(value).epsilon(1e-12); }

void check_list(const FigureList& list, const std::vector<double>& expected) {
  CAPTURE(list.name);
  REQUIRE(list.values.size() >= expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    REQUIRE(list.values[i]);
    CHECK(*list.values[i] == near(expected[i]));
  }
}

TEST_CASE("the figures of masks are those of scikit-learn") {
  MaskMetrics metrics(5, 255);
  for (std::uint32_t image = 0; image < 3; ++image) {
    std::vector<std::int64_t> labels;
    std::vector<std::int64_t> predicted;
    for (std::uint32_t i = image * 63; i < (image + 1) * 63; ++i) {
      const std::uint32_t label = mixed(i) % 4;
      labels.push_back(mixed(i + 1000) % 8 != 0 ? label : 255);
      predicted.push_back(mixed(i + 5000) % 3 == 0 ? mixed(i + 9000) % 3 : label);
    }
    metrics.add(labels, predicted, image);
  }
  const Figures figures = figures_of(metrics);
  CHECK(figures.kind == "masks");
  CHECK(figures.compared == 167);
  CHECK(*figures.value("pixel_accuracy") == near(0.7844311377245509));
  const std::vector<double> iou{0.6, 0.6666666666666666, 0.6, 0.7647058823529411};
  const std::vector<double> dice{0.75, 0.8, 0.75, 0.8666666666666667};
  check_list(figures.lists[0], iou);
  check_list(figures.lists[1], dice);
  CHECK_FALSE(figures.lists[0].values[4]);  // a class that occurs nowhere
  CHECK(*figures.value("mean_iou") == near((0.6 + 0.6666666666666666 + 0.6 + 0.7647058823529411) / 4));
  CHECK(*figures.value("mean_dice") == near((0.75 + 0.8 + 0.75 + 0.8666666666666667) / 4));
  using Rows = std::vector<std::vector<std::uint64_t>>;
  CHECK(figures.confusion_matrix ==
        Rows{{36, 3, 5, 0, 0}, {4, 36, 3, 0, 0}, {9, 4, 33, 0, 0}, {3, 4, 1, 26, 0}, {0, 0, 0, 0, 0}});
}

TEST_CASE("the figures of numbers are those of scikit-learn, however far from 0 the labels are") {
  RegressionMetrics metrics(3);
  const std::vector<float> offsets{0.0F, 100000.0F, -2.0F};
  for (std::uint32_t image = 0; image < 200; ++image) {
    std::vector<float> labels;
    std::vector<float> predicted;
    for (std::uint32_t output = 0; output < 3; ++output) {
      const std::uint32_t i = image * 3 + output;
      labels.push_back(unit(i) * 8.0F + offsets[output]);
      predicted.push_back(labels.back() + (unit(i + 7000) - 0.5F));
    }
    metrics.add(labels, predicted);
  }
  const Figures figures = figures_of(metrics);
  CHECK(figures.compared == 600);
  CHECK(*figures.value("mean_absolute_error") == near(0.25107185820738476));
  CHECK(*figures.value("mean_squared_error") == near(0.08394199576941813));
  CHECK(*figures.value("r2") == near(0.9844455768832869));
}

TEST_CASE("the R2 of equal labels is that of scikit-learn") {
  RegressionMetrics metrics(3);
  for (std::uint32_t image = 0; image < 200; ++image) {
    const std::vector<std::uint32_t> numbers{image * 3, image * 3 + 1};
    const float first = unit(numbers[0]) * 8.0F;
    const float second = unit(numbers[1]) * 8.0F + 100000.0F;
    metrics.add(std::vector<float>{first, 3, 3}, std::vector<float>{first + (unit(numbers[0] + 7000) - 0.5F),
                                                                    second + (unit(numbers[1] + 7000) - 0.5F), 3});
  }
  CHECK(*metrics.r2() == near(0.6609948101289761));
}

TEST_CASE("the figures of several labels are those of scikit-learn, with many equal scores") {
  MultiLabelMetrics metrics({4});
  const std::vector<float> shares{0.1F, 0.3F, 0.5F, 0.9F};
  for (std::uint32_t image = 0; image < 300; ++image) {
    std::vector<float> labels;
    std::vector<float> scores;
    for (std::uint32_t label = 0; label < 4; ++label) {
      const std::uint32_t i = image * 4 + label;
      const bool right = unit(i) < shares[label];
      labels.push_back(right ? 1.0F : 0.0F);
      scores.push_back(static_cast<float>(mixed(i + 3000) % 12 + (right ? 4 : 0)) / 16.0F);
    }
    metrics.add(labels, scores);
  }
  const Figures figures = figures_of(metrics);
  CHECK(figures.compared == 1200);
  check_list(figures.lists[0], {0.7333333333333333, 0.7333333333333333, 0.6833333333333333, 0.6266666666666667});
  check_list(figures.lists[1], {0.36507936507936506, 0.5918367346938775, 0.6594982078853047, 0.7442922374429224});
  check_list(figures.lists[2], {0.6302981544142492, 0.6833613145601015, 0.8153736556423052, 0.9624203209816012});
  CHECK(*figures.value("macro_f1") == near(0.5901766362753674));
  CHECK(*figures.value("micro_f1") == near(0.6467757459095284));
  CHECK(*figures.value("mean_average_precision") == near(0.7728633613995644));
  CHECK_FALSE(figures.left_out);
}

}  // namespace
}  // namespace tutti::images
