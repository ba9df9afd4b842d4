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
#include "results/exact_sum.hpp"
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

double sum_of(const std::vector<double>& terms) {
  ExactSum sum;
  for (const double term : terms) sum.add(term);
  return sum.value();
}

TEST_CASE("an exact sum has the same bits in any order and grouping") {
  for (const int spread : {0, 20, 300}) {
    std::vector<double> terms;
    for (std::uint64_t i = 0; i < 1000; ++i) {
      const double term = std::ldexp(static_cast<double>(random_at(5, i) >> 11U), -53);
      const auto exponent = static_cast<int>(random_at(6, i) % static_cast<std::uint64_t>(2 * spread + 1)) - spread;
      terms.push_back(std::ldexp(i % 3 == 0 ? -term : term, exponent));
    }
    const double forward = sum_of(terms);
    ExactSum backward;
    ExactSum group;
    for (auto term = terms.rbegin(); term != terms.rend(); ++term) {
      group.add(*term);
      if (random_at(7, static_cast<std::uint64_t>(terms.rend() - term)) % 5 == 0)
        backward.add(std::exchange(group, {}));
    }
    backward.add(group);
    CHECK(forward == backward.value());
    std::ranges::sort(terms);
    CHECK(forward == sum_of(terms));
    long double plain = 0;
    for (const double term : terms) plain += term;
    CHECK(forward == doctest::Approx(static_cast<double>(plain)).epsilon(1e-14));
  }
}

TEST_CASE("an exact sum of one term is that term, however large or small") {
  using Limits = std::numeric_limits<double>;
  for (const double term : {0.0, 1.0, -0.3, 27.6, 1e-300, -1e300, Limits::max(), Limits::min(), Limits::denorm_min()})
    CHECK(sum_of({term}) == term);
  CHECK(sum_of({1e16, 1.0, -1e16}) == 1.0);
  CHECK(sum_of({1e-30, -1e-30, 0.75, -0.75, -1.5, 1.5, 63.9, -63.9}) == 0.0);
  CHECK(sum_of(std::vector<double>(10, 0.1)) == 1.0);
}

TEST_CASE("terms that are not finite make a sum that is not") {
  using Limits = std::numeric_limits<double>;
  CHECK(sum_of({1.0, Limits::infinity(), 1.0}) == Limits::infinity());
  CHECK(sum_of({1.0, -Limits::infinity()}) == -Limits::infinity());
  CHECK(std::isnan(sum_of({Limits::infinity(), -Limits::infinity()})));
  CHECK(std::isnan(sum_of({1.0, Limits::quiet_NaN(), Limits::infinity()})));
  CHECK(std::isnan(sum_of({-Limits::quiet_NaN()})));
}

TEST_CASE("an exact sum that was written is read back") {
  using Limits = std::numeric_limits<double>;
  for (const double term : {0.0, 0.3, -0.3, -1e-20, 5e88, Limits::denorm_min(), Limits::max(), Limits::infinity()}) {
    ExactSum sum;
    sum.add(term);
    sum.add(term == 0.0 ? 0.0 : 0.1);
    SumWriter out;
    sum.write(out);
    ExactSum copy;
    copy.add(17.0);
    SumReader in(out.bytes());
    copy.read(in);
    CHECK(in.left() == 0);
    CHECK(copy.value() == sum.value());
    copy.add(sum);
    sum.add(ExactSum(sum));
    CHECK(copy.value() == sum.value());
  }
  SumWriter wrong;
  wrong.count(68);  // a place that no number has
  CHECK(misfits(wrong, [](SumReader& in) { ExactSum().read(in); }));
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
      read(continued, in, first, kSegments[segment]);
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
const auto kRead = [](auto& metrics, SumReader& in, std::size_t /*first*/, std::size_t /*count*/) {
  metrics.read_segment(in);
};
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
  CHECK(bytes_of(1000) <= bytes_of(100) + 16);
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

TEST_CASE("errors of numbers continue from what was written, with the labels read again") {
  constexpr std::size_t kOutputs = 2;
  const Row labels = random_row(1, 30 * kOutputs);
  const Row predicted = random_row(2, 30 * kOutputs);
  const auto add = [&](RegressionMetrics& metrics, std::size_t first, std::size_t count) {
    metrics.add(std::span(labels).subspan(first * kOutputs, count * kOutputs),
                std::span(predicted).subspan(first * kOutputs, count * kOutputs));
  };
  const auto read = [&](RegressionMetrics& metrics, SumReader& in, std::size_t first, std::size_t count) {
    metrics.read_segment(in);
    const auto own = std::span(labels).subspan(first * kOutputs, count * kOutputs);
    metrics.add_labels(own.first(kOutputs));
    metrics.add_labels(own.subspan(kOutputs));
  };
  for (const std::vector<bool>& known : kKnown) {
    RegressionMetrics computed(kOutputs);
    RegressionMetrics continued(kOutputs);
    continue_with(computed, continued, known, add, kWrite, read);
    RegressionMetrics whole(kOutputs);
    add(whole, 0, 30);
    for (const RegressionMetrics* other : {&computed, &whole}) {
      CHECK(continued.images() == other->images());
      CHECK(continued.mean_absolute_error() == other->mean_absolute_error());
      CHECK(continued.mean_squared_error() == other->mean_squared_error());
      CHECK(continued.r2() == other->r2());
    }
  }
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
  CHECK(misfits(out, [](SumReader& in) { RegressionMetrics(3).read_segment(in); }));
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
