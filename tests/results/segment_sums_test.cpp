// The sums of segments: metrics that read what others wrote have every bit of those that computed it.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "common/random.hpp"
#include "results/disagreement.hpp"
#include "results/fixed_sum.hpp"
#include "results/mask_metrics.hpp"
#include "results/metrics.hpp"
#include "results/multi_label_metrics.hpp"
#include "results/regression_metrics.hpp"
#include "results/segment_sums.hpp"

namespace tutti::images {
namespace {

using Row = std::vector<float>;
using Classes = std::vector<std::int64_t>;

Row random_row(std::uint64_t seed, std::size_t count) {
  Row row(count);
  for (std::size_t i = 0; i < count; ++i) row[i] = unit_float(random_at(seed, i));
  return row;
}

Classes random_classes(std::uint64_t seed, std::size_t count, std::uint64_t classes) {
  Classes row(count);
  for (std::size_t i = 0; i < count; ++i) row[i] = static_cast<std::int64_t>(random_at(seed, i) % classes);
  return row;
}

template <class Read>
bool misfits(const SumWriter& sums, const Read& read) {
  SumReader in(sums.bytes());
  try {
    read(in);
  } catch (const SumMisfit&) {
    return true;
  }
  return false;
}

TEST_CASE("counts and numbers come back with every bit") {
  SumWriter out;
  const std::vector<std::uint64_t> counts{0, 1, 127, 128, 300, 1ULL << 32U, ~0ULL};
  for (const std::uint64_t count : counts) out.count(count);
  out.number(-0.0);
  CHECK(out.bytes().size() == 1 + 1 + 1 + 2 + 2 + 5 + 10 + 8);
  SumReader in(out.bytes());
  for (const std::uint64_t count : counts) CHECK(in.count() == count);
  CHECK(std::signbit(in.number()));
  CHECK(in.left() == 0);
}

TEST_CASE("bytes that end early or hold numbers that are too large are not read") {
  SumWriter out;
  out.count(200);
  CHECK(misfits(out, [](SumReader& in) { in.count(199); }));
  CHECK(misfits(out, [](SumReader& in) { in.number(); }));
  CHECK_FALSE(misfits(out, [](SumReader& in) { in.count(200); }));
  const std::array<std::byte, 1> cut{std::byte{0x80}};
  SumWriter half;
  half.raw(cut);
  CHECK(misfits(half, [](SumReader& in) { in.count(); }));
  SumWriter large;
  for (int i = 0; i < 10; ++i) large.raw(std::array<std::byte, 1>{std::byte{0xff}});
  CHECK(misfits(large, [](SumReader& in) { in.count(); }));
}

TEST_CASE("a fixed sum has the same bits in any order and grouping") {
  std::vector<double> terms;
  for (std::uint64_t i = 0; i < 1000; ++i)
    terms.push_back(std::ldexp(static_cast<double>(random_at(5, i) >> 11U), -53) * (i % 3 == 0 ? -1e-9 : 27.0));
  FixedSum forward;
  for (const double term : terms) forward.add(term);
  FixedSum backward;
  FixedSum group;
  for (auto term = terms.rbegin(); term != terms.rend(); ++term) {
    group.add(*term);
    if (*term > 20.0) backward.add(std::exchange(group, {}));
  }
  backward.add(group);
  CHECK(forward.value() == backward.value());
  long double plain = 0;
  for (const double term : terms) plain += term;
  CHECK(forward.value() == doctest::Approx(static_cast<double>(plain)).epsilon(1e-15));
  FixedSum nothing;
  for (const double term : {1e-30, -1e-30, 0.75, -0.75, -1.5, 1.5, 63.9, -63.9}) nothing.add(term);
  CHECK(nothing.value() == 0.0);
}

TEST_CASE("terms that are not small are added to a fixed sum too") {
  FixedSum sum;
  for (const double term : {1e30, 0.5, -64.0}) sum.add(term);
  CHECK(sum.value() == 1e30);
  sum.add(std::numeric_limits<double>::quiet_NaN());
  CHECK(std::isnan(sum.value()));
  FixedSum infinite;
  infinite.add(-std::numeric_limits<double>::infinity());
  CHECK(infinite.value() == -std::numeric_limits<double>::infinity());
}

TEST_CASE("a fixed sum that was written is read back") {
  for (const double term : {0.0, 0.3, -0.3, -1e-20, 5e8, std::numeric_limits<double>::infinity()}) {
    FixedSum sum;
    sum.add(term);
    sum.add(0.1);
    SumWriter out;
    sum.write(out);
    FixedSum copy;
    copy.add(17.0);
    SumReader in(out.bytes());
    copy.read(in);
    CHECK(in.left() == 0);
    CHECK(copy.value() == sum.value());
    copy.add(sum);
    sum.add(FixedSum(sum));
    CHECK(copy.value() == sum.value());
  }
}

/// Segments of these numbers of images.
const std::vector<std::size_t> kSegments{7, 1, 12, 7, 3};

/// Adds the segments to `computed`, and those that are known as they were written to `continued`.
template <class Metrics, class Add, class Write, class Read>
void continue_with(Metrics& computed, Metrics& continued, std::vector<bool> known, const Add& add, const Write& write,
                   const Read& read) {
  std::size_t first = 0;
  for (std::size_t segment = 0; segment < kSegments.size(); ++segment) {
    computed.begin_segment();
    add(computed, first, kSegments[segment]);
    SumWriter out;
    write(computed, out);
    if (known[segment]) {
      SumReader in(out.bytes());
      read(continued, in);
      CHECK(in.left() == 0);
      // What was read can be written again.
      SumWriter again;
      write(continued, again);
      CHECK(std::ranges::equal(again.bytes(), out.bytes()));
    } else {
      continued.begin_segment();
      add(continued, first, kSegments[segment]);
    }
    first += kSegments[segment];
  }
}

const auto kWrite = [](const auto& metrics, SumWriter& out) { metrics.write_segment(out); };
const auto kRead = [](auto& metrics, SumReader& in) { metrics.read_segment(in); };
const std::vector<std::vector<bool>> kKnown{
    {true, true, true, true, true}, {true, false, true, false, false}, {false, false, true, true, false}};

TEST_CASE("accuracy, loss and calibration continue from what was written") {
  for (const std::uint32_t classes : {4U, kMaxConfusionClasses + 1}) {
    const Row values = random_row(1, 30 * classes);
    const Classes labels = random_classes(2, 30, classes);
    const Classes predicted = random_classes(3, 30, classes);
    const auto add = [&](Metrics& metrics, std::size_t first, std::size_t count) {
      metrics.add(std::span(labels).subspan(first, count), std::span(values).subspan(first * classes, count * classes),
                  std::span(predicted).subspan(first, count), ScoreKind::probabilities);
    };
    for (const std::vector<bool>& known : kKnown) {
      Metrics computed(classes);
      Metrics continued(classes);
      continue_with(computed, continued, known, add, kWrite, kRead);
      Metrics whole(classes);
      add(whole, 0, 30);
      for (const Metrics* other : {&computed, &whole}) {
        CHECK(continued.images() == other->images());
        CHECK(continued.accuracy() == other->accuracy());
        CHECK(continued.loss() == other->loss());
        CHECK(continued.calibration_error() == other->calibration_error());
        CHECK(continued.confusion() == other->confusion());
        CHECK(continued.per_class_accuracy() == other->per_class_accuracy());
      }
    }
  }
}

TEST_CASE("what is written of a segment does not grow with the classes") {
  const auto bytes_of = [](std::uint32_t classes) {
    Metrics metrics(classes);
    metrics.begin_segment();
    metrics.add(Classes(16, 3), random_row(1, 16 * classes), Classes(16, 3), ScoreKind::probabilities);
    SumWriter out;
    metrics.write_segment(out);
    return out.bytes().size();
  };
  CHECK(bytes_of(1000) <= bytes_of(100));
  CHECK(bytes_of(1000) < 16 * 3 + 16 * 20);
}

TEST_CASE("masks continue from what was written") {
  constexpr std::size_t kPlaces = 6;
  for (const std::uint32_t classes : {3U, kMaxConfusionClasses + 1}) {
    const Classes labels = random_classes(2, 30 * kPlaces, classes);
    const Classes predicted = random_classes(3, 30 * kPlaces, classes);
    const auto add = [&](MaskMetrics& metrics, std::size_t first, std::size_t count) {
      for (std::size_t image = first; image < first + count; ++image)
        metrics.add(std::span(labels).subspan(image * kPlaces, kPlaces),
                    std::span(predicted).subspan(image * kPlaces, kPlaces), image);
    };
    for (const std::vector<bool>& known : kKnown) {
      MaskMetrics computed(classes, 0);
      MaskMetrics continued(classes, 0);
      continue_with(computed, continued, known, add, kWrite, kRead);
      CHECK(continued.places() == computed.places());
      CHECK(continued.accuracy() == computed.accuracy());
      CHECK(continued.iou() == computed.iou());
      CHECK(continued.dice() == computed.dice());
      CHECK(continued.confusion() == computed.confusion());
    }
  }
}

TEST_CASE("errors of numbers continue from what was written, with the labels' sums from another model") {
  constexpr std::size_t kOutputs = 2;
  const Row labels = random_row(1, 30 * kOutputs);
  const Row predicted = random_row(2, 30 * kOutputs);
  const auto add = [&](RegressionMetrics& metrics, std::size_t first, std::size_t count) {
    metrics.add(std::span(labels).subspan(first * kOutputs, count * kOutputs),
                std::span(predicted).subspan(first * kOutputs, count * kOutputs));
  };
  for (const bool with_labels : {true, false})
    for (const std::vector<bool>& known : kKnown) {
      RegressionMetrics computed(kOutputs);
      RegressionMetrics continued(kOutputs);
      const auto write = [&](const RegressionMetrics& metrics, SumWriter& out) {
        metrics.write_segment(out, with_labels);
      };
      const auto read = [&](RegressionMetrics& metrics, SumReader& in) {
        metrics.read_segment(in, with_labels ? nullptr : &computed);
      };
      continue_with(computed, continued, known, add, write, read);
      CHECK(continued.images() == 30);
      CHECK(continued.mean_absolute_error() == computed.mean_absolute_error());
      CHECK(continued.mean_squared_error() == computed.mean_squared_error());
      CHECK(continued.r2() == computed.r2());
      RegressionMetrics whole(kOutputs);
      add(whole, 0, 30);
      CHECK(*computed.mean_absolute_error() == doctest::Approx(*whole.mean_absolute_error()).epsilon(1e-14));
      CHECK(*computed.mean_squared_error() == doctest::Approx(*whole.mean_squared_error()).epsilon(1e-14));
      CHECK(*computed.r2() == doctest::Approx(*whole.r2()).epsilon(1e-13));
    }
}

TEST_CASE("merged sums of labels far from zero lose no digits") {
  RegressionMetrics parts(1);
  RegressionMetrics whole(1);
  for (const float label : {1e6F, 1e6F + 1, 1e6F + 2, 1e6F + 4}) {
    parts.begin_segment();
    for (RegressionMetrics* metrics : {&parts, &whole}) metrics->add(Row{label}, Row{label + 1});
  }
  // The squared distances from the mean, 1.75, are 8.75 in all; the squared errors are 4.
  CHECK(*whole.r2() == doctest::Approx(1 - 4 / 8.75));
  CHECK(*parts.r2() == doctest::Approx(*whole.r2()).epsilon(1e-12));
}

TEST_CASE("several labels continue from what was written, with their scores") {
  constexpr std::size_t kLabels = 3;
  Row labels(30 * kLabels * 2);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = random_at(4, i) % 3 == 0 ? 1.0F : 0.0F;
  const Row scores = random_row(5, labels.size());
  const auto add = [&](MultiLabelMetrics& metrics, std::size_t first, std::size_t count) {
    metrics.add(std::span(labels).subspan(first * kLabels * 2, count * kLabels * 2),
                std::span(scores).subspan(first * kLabels * 2, count * kLabels * 2));
  };
  for (const std::uint64_t most_held : {kMaxHeldScores, std::uint64_t{70}})
    for (const std::vector<bool>& known : kKnown) {
      MultiLabelForm form{kLabels, 2};
      form.most_held = most_held;
      MultiLabelMetrics computed(form);
      MultiLabelMetrics continued(form);
      continue_with(computed, continued, known, add, kWrite, kRead);
      CHECK(continued.values() == computed.values());
      CHECK(continued.accuracy() == computed.accuracy());
      CHECK(continued.f1() == computed.f1());
      CHECK(continued.average_precision() == computed.average_precision());
      CHECK(continued.holds_scores() == (most_held > 70));
    }
}

TEST_CASE("the disagreement of members continues from what was written") {
  std::vector<double> shares(30 * 4);
  for (std::size_t i = 0; i < shares.size(); i += 2) {
    shares[i] = static_cast<double>(unit_float(random_at(6, i)));
    shares[i + 1] = 1 - shares[i];
  }
  const auto add = [&](Disagreement& metrics, std::size_t first, std::size_t count) {
    for (std::size_t image = first; image < first + count; ++image)
      metrics.add(std::span(shares).subspan(image * 4, 4), 2);
  };
  for (const std::vector<bool>& known : kKnown) {
    Disagreement computed;
    Disagreement continued;
    continue_with(computed, continued, known, add, kWrite, kRead);
    CHECK(continued.images() == 30);
    CHECK(continued.means() == computed.means());
  }
}

TEST_CASE("sums of other metrics are not read") {
  Metrics three(3);
  three.add(Classes{0, 2}, Row(6, 0.5F), Classes{1, 2}, ScoreKind::probabilities);
  SumWriter out;
  three.write_segment(out);
  CHECK(misfits(out, [](SumReader& in) { Metrics(4).read_segment(in); }));
  CHECK(misfits(out, [](SumReader& in) { MaskMetrics(2, {}).read_segment(in); }));
  CHECK(misfits(out, [](SumReader& in) { RegressionMetrics(3).read_segment(in, nullptr); }));
  CHECK(misfits(out, [](SumReader& in) { MultiLabelMetrics({2}).read_segment(in); }));
  SumWriter masks;
  masks.count(2);
  masks.count(5);  // the fifth of four cells
  CHECK(misfits(masks, [](SumReader& in) { MaskMetrics(2, {}).read_segment(in); }));
  SumWriter classes;
  for (const std::uint64_t count : {3, 1, 3, 0, 0}) classes.count(count);  // a label of 3
  CHECK(misfits(classes, [](SumReader& in) { Metrics(3).read_segment(in); }));
}

}  // namespace
}  // namespace tutti::images
