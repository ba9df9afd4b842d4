// What other thresholds of a cascade would do, against a count image by image.
#include "evaluation/cascade_sweep.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "common/random.hpp"
#include "config/load.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kImages = 100;

config::EnsembleSpec spec_of(const std::string& when) {
  return config::load_text(
      "members: [{name: a, model: {kind: fake, classes: 2}}, {name: b, model: {kind: fake, "
      "classes: 2}}]\nassignment: cpu\ninput: {shape: [1, 2, 2]}\ncascade: {when: {" +
          when + "}, then: [b]}\n",
      "e.yaml", {{}, {}}, {});
}

/// The probability of class 1.
float answer(std::size_t member, std::size_t image) {
  return static_cast<float>(random_at(member + 1, image) % 1000) / 1000;
}
std::int64_t label_of(std::size_t image) { return static_cast<std::int64_t>(random_at(9, image) % 2); }

void feed(CascadeSweep& sweep, bool labelled = true, bool second_present = true) {
  std::vector<std::vector<float>> rows(2);
  std::vector<std::int64_t> labels;
  for (std::size_t image = 0; image < kImages; ++image) {
    for (std::size_t m = 0; m < 2; ++m) rows[m].insert(rows[m].end(), {1 - answer(m, image), answer(m, image)});
    labels.push_back(label_of(image));
  }
  const std::vector<MemberSegmentResult> members{{2, rows[0]}, {2, rows[1], second_present}};
  SegmentResult result;
  result.count = kImages;
  result.members = members;
  if (labelled) result.labels = labels;
  sweep.write(result);
}

bool right(float of_one, std::size_t image) { return (of_one > 0.5F ? 1 : 0) == label_of(image); }

/// The accuracy of a cascade with this threshold of the confidence, and its share.
std::pair<double, double> counted(double threshold) {
  double passed = 0;
  double good = 0;
  for (std::size_t image = 0; image < kImages; ++image) {
    const float first = answer(0, image);
    const bool doubtful = static_cast<double>(std::max(first, 1 - first)) < threshold;
    passed += doubtful ? 1 : 0;
    good += right(doubtful ? (first + answer(1, image)) / 2 : first, image) ? 1 : 0;
  }
  return {passed / kImages, good / kImages};
}

TEST_CASE("each row of a sweep is what a cascade with its threshold does") {
  const auto spec = spec_of("confidence_below: 0.8");
  CascadeSweep sweep(spec, {1, 1}, nullptr);
  feed(sweep);
  const images::SweepReport report = sweep.report({0.001, 0.01});
  CHECK(report.when == "confidence_below");
  REQUIRE(report.rows.size() >= 8);
  int described = 0;
  for (const images::SweepRow& row : report.rows) {
    CAPTURE(row.threshold);
    const auto [share, accuracy] = counted(row.threshold);
    CHECK(row.share == doctest::Approx(share));
    CHECK(row.accuracy == doctest::Approx(accuracy));
    CHECK(row.seconds.value() == doctest::Approx(1 + 10 * share));
    described += row.described ? 1 : 0;
    if (row.described) CHECK(row.threshold == 0.8);
  }
  CHECK(described == 1);
  CHECK(report.rows.front().share == 0);
  CHECK(report.rows.back().share == 1);
}

TEST_CASE("a sweep over the entropy goes from large thresholds to small ones") {
  const auto spec = spec_of("entropy_above: 0.5");
  CascadeSweep sweep(spec, {1, 1}, nullptr);
  feed(sweep);
  const images::SweepReport report = sweep.report({std::nullopt, 0.01});
  for (std::size_t row = 1; row < report.rows.size(); ++row) {
    CHECK(report.rows[row].threshold < report.rows[row - 1].threshold);
    CHECK(report.rows[row].share >= report.rows[row - 1].share);
    CHECK_FALSE(report.rows[row].seconds.has_value());
  }
  CHECK(report.rows.back().threshold == 0);
}

TEST_CASE("segments that lack a member are left out of a sweep") {
  const auto spec = spec_of("margin_below: 0.5");
  CascadeSweep sweep(spec, {1, 1}, nullptr);
  feed(sweep, true, false);
  CHECK(sweep.report({0.001, 0.01}).rows.empty());
}

TEST_CASE("a sweep without labels is refused") {
  const auto spec = spec_of("margin_below: 0.5");
  CascadeSweep sweep(spec, {1, 1}, nullptr);
  CHECK(error_of([&] { feed(sweep, false); })->message() ==
        "a cascade sweep compares accuracies, and the images have no labels of classes");
}

TEST_CASE("what cannot be swept says why") {
  auto spec = spec_of("margin_below: 0.5");
  CHECK(why_not_swept(spec).empty());
  spec.cascade.push_back(spec.cascade.front());
  CHECK(why_not_swept(spec) == "the cascade has several steps, and one threshold is swept");
  spec.cascade.clear();
  CHECK(why_not_swept(spec) == "the description has no 'cascade'");
  spec = spec_of("margin_below: 0.5");
  spec.tasks.resize(1);
  spec.tasks.front().head = "h.safetensors";
  CHECK(why_not_swept(spec) == "the classes come from a head");
  spec.tasks.push_back(spec.tasks.front());
  CHECK(why_not_swept(spec) == "there are several tasks; leave all but one out");
}

}  // namespace
}  // namespace tutti::test
