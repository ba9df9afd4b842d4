// Predictions of any shape: every rule gives the bytes of a plain loop over values and positions (naive_rules.hpp).
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "common/random.hpp"
#include "common/wide_vectors.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "tests/common/death.hpp"
#include "tests/coordinator/decide/naive_rules.hpp"

namespace tutti::test {
namespace {

using config::CombineSpec;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

std::vector<CombineRule> combining_rules() {
  std::vector<CombineRule> rules;
  for (const auto& entry : enum_names(CombineRule{}))
    if (entry.value != CombineRule::none) rules.push_back(entry.value);
  return rules;
}

/// How the values of a case come about.
enum class Draw {
  any,     ///< all different
  coarse,  ///< 0, 0.25, 0.5 and 0.75, so that there are ties
  signs,   ///< -1, -0, 0 and 1
  odd,     ///< some are NaN or infinite
};

float draw(Draw kind, std::uint64_t bits) {
  const auto quarter = static_cast<float>(bits % 4);
  switch (kind) {
    case Draw::any:
      return unit_float(bits);
    case Draw::coarse:
      return quarter / 4;
    case Draw::signs:
      return bits % 4 == 0 ? -0.0F : quarter - 2;
    case Draw::odd:
      return bits % 8 == 0 ? kNotANumber : bits % 8 == 1 ? kInfinity : bits % 8 == 2 ? -kInfinity : unit_float(bits);
  }
  return 0;
}

Rows drawn(Draw kind, std::size_t members, std::size_t values, std::uint64_t seed) {
  Rows rows(members, std::vector<float>(values));
  for (std::size_t m = 0; m < members; ++m)
    for (std::size_t i = 0; i < values; ++i) rows[m][i] = draw(kind, random_at(seed + m, i));
  return rows;
}

/// How far apart two numbers of the same sign are, counted in float32 numbers.
std::int64_t steps_between(float a, float b) {
  return std::abs(std::int64_t{std::bit_cast<std::int32_t>(a)} - std::int64_t{std::bit_cast<std::int32_t>(b)});
}

/// Any NaN is as good as another.
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

std::size_t differing(const std::vector<float>& a, const std::vector<float>& b, std::int64_t steps = 0) {
  if (a.size() != b.size()) return std::max(a.size(), b.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool near = steps > 0 && steps_between(a[i], b[i]) <= steps;
    count += same(a[i], b[i]) || near ? 0U : 1U;
  }
  return count;
}

/// Members combined by the accumulator and by the plain loop.
struct Case {
  CombineSpec spec;
  std::uint32_t count;
  ClassAxis axis;
  std::vector<bool> present;
  Rows members;
  std::vector<float> weights;

  Accumulator::Result combined() const {
    std::vector<std::span<const float>> spans(members.begin(), members.end());
    for (std::size_t m = 0; m < spans.size(); ++m)
      if (!present[m]) spans[m] = {};
    return Accumulator(spec, weights).combine(spans, present, count, axis);
  }
  Accumulator::Result naive() const { return combined_naively(spec, weights, members, present, count, axis); }
};

Case case_of(const CombineSpec& spec, std::uint32_t count, const ClassAxis& axis, std::size_t members, Draw kind) {
  Case made{spec, count, axis, std::vector<bool>(members, true), drawn(kind, members, count * axis.values(), 7), {}};
  for (std::size_t m = 0; m < members; ++m) made.weights.push_back(0.5F + 0.7F * unit_float(random_at(3, m)));
  if (kind == Draw::coarse) made.weights.assign(members, 1.0F);
  return made;
}

void check_case(const Case& made) {
  CAPTURE(to_name(made.spec.rule));
  CAPTURE(made.spec.accumulate_f64);
  CAPTURE(made.members.size());
  CAPTURE(made.axis.outer);
  CAPTURE(made.axis.classes);
  CAPTURE(made.axis.inner);
  const auto result = made.combined();
  const auto expected = made.naive();
  // The logarithms of the geometric mean are not those of the plain loop, which are long double: the mean may be off by
  // one float32 number, and the quotient by its sum by another.
  const std::int64_t steps = made.spec.rule == CombineRule::geometric_mean ? 2 : 0;
  CHECK(differing(result.values, expected.values, steps) == 0);
  CHECK(result.predicted == expected.predicted);
}

const std::vector<ClassAxis> kShapes{{1, 1, 1},   {1, 7, 1},    {1, 45, 1},   {3, 5, 1},    {1, 3, 4},    {2, 3, 5},
                                     {1, 1, 600}, {1, 3, 511},  {1, 3, 512},  {1, 2, 513},  {2, 3, 700},  {4, 1, 3},
                                     {1, 70, 40}, {1, 2, 4095}, {2, 2, 4096}, {1, 3, 4097}, {1, 2, 9000}, {300, 3, 2}};

/// As on a CPU without wide vectors, until the end of the scope.
class NarrowVectors {
 public:
  NarrowVectors() { uses_wide_vectors() = false; }
  ~NarrowVectors() { uses_wide_vectors() = usual_; }
  NarrowVectors(const NarrowVectors&) = delete;
  NarrowVectors& operator=(const NarrowVectors&) = delete;

 private:
  const bool usual_ = uses_wide_vectors();
};

void check_every_shape() {
  for (const ClassAxis& axis : kShapes)
    for (const CombineRule rule : combining_rules())
      for (const Draw kind : {Draw::any, Draw::coarse})
        for (const bool f64 : {false, true}) {
          CombineSpec spec;
          spec.rule = rule;
          spec.accumulate_f64 = f64;
          check_case(case_of(spec, 3, axis, 3, kind));
        }
}

TEST_CASE("every rule gives for every shape the bytes of a plain loop") { check_every_shape(); }

TEST_CASE("a CPU without wide vectors gives the same bytes") {
  for (const Activation activation : {Activation::softmax, Activation::sigmoid}) {
    CombineSpec spec;
    spec.rule = CombineRule::geometric_mean;
    spec.activation = activation;
    const Case made = case_of(spec, 40, {1, 21, 1}, 5, Draw::any);
    const auto usual = made.combined();
    const NarrowVectors narrow;
    CHECK(differing(made.combined().values, usual.values) == 0);
  }
  const NarrowVectors narrow;
  check_every_shape();
}

TEST_CASE("every rule gives for every number of members the bytes of a plain loop") {
  for (const std::size_t members : {1U, 2U, 4U, 5U, 6U, 7U, 12U, 13U, 20U})
    for (const CombineRule rule : combining_rules())
      for (const Draw kind : {Draw::any, Draw::coarse, Draw::signs}) {
        if (kind == Draw::signs && rule == CombineRule::geometric_mean) continue;
        CombineSpec spec;
        spec.rule = rule;
        spec.normalize = members % 2 == 0;
        for (const ClassAxis& axis : {ClassAxis{1, 9, 1}, ClassAxis{2, 3, 18}}) {
          check_case(case_of(spec, 2, axis, members, kind));
          spec.accumulate_f64 = true;
        }
      }
}

TEST_CASE("every rule gives without some members the bytes of a plain loop") {
  for (const CombineRule rule : combining_rules())
    for (const bool normalize : {false, true})
      for (unsigned set = 1; set < 16; ++set) {
        CombineSpec spec;
        spec.rule = rule;
        spec.normalize = normalize;
        Case made = case_of(spec, 2, {1, 3, 21}, 4, Draw::any);
        for (std::size_t m = 0; m < 4; ++m) made.present[m] = (set >> m & 1U) != 0;
        check_case(made);
      }
}

TEST_CASE("NaN and infinity take the way that they take in a plain loop") {
  for (const CombineRule rule : combining_rules())
    for (const ClassAxis& axis : {ClassAxis{1, 5, 1}, ClassAxis{1, 40, 1}, ClassAxis{1, 5, 30}}) {
      CombineSpec spec;
      spec.rule = rule;
      if (rule == CombineRule::geometric_mean) continue;  // below
      check_case(case_of(spec, 20, axis, 5, Draw::odd));
    }
}

TEST_CASE("a value is NaN where that of any member is, whichever member it is") {
  for (const CombineRule rule : {CombineRule::mean, CombineRule::sum, CombineRule::weighted, CombineRule::max,
                                 CombineRule::median, CombineRule::geometric_mean})
    for (std::size_t members = 1; members <= 8; ++members)
      for (std::size_t wrong = 0; wrong < members; ++wrong) {
        CAPTURE(static_cast<int>(rule));
        CAPTURE(members);
        CAPTURE(wrong);
        CombineSpec spec;
        spec.rule = rule;
        spec.over = OutputKind::probabilities;
        spec.activation = Activation::sigmoid;
        Case made{spec,
                  1,
                  {3},
                  std::vector<bool>(members, true),
                  Rows(members, {0.25F, 0.5F, 0.75F}),
                  std::vector<float>(members, 1.0F)};
        made.members[wrong][1] = kNotANumber;
        const std::vector<float> values = made.combined().values;
        CHECK(std::isfinite(values[0]));
        CHECK(std::isnan(values[1]));
        CHECK(std::isfinite(values[2]));
      }
}

TEST_CASE("without one class to decide for nothing is predicted") {
  for (const OutputKind over : {OutputKind::features, OutputKind::values, OutputKind::probabilities})
    for (const CombineRule rule : {CombineRule::mean, CombineRule::sum, CombineRule::weighted, CombineRule::max,
                                   CombineRule::median, CombineRule::geometric_mean}) {
      CombineSpec spec;
      spec.rule = rule;
      spec.over = over;
      spec.activation = Activation::sigmoid;
      if (rule == CombineRule::geometric_mean && over != OutputKind::probabilities) continue;
      const Case made = case_of(spec, 3, {2, 3, 400}, 3, Draw::any);
      CHECK(made.combined().predicted.empty());
      check_case(made);
    }
}

float label_mean_of(const std::vector<float>& scores) {
  CombineSpec spec;
  spec.rule = CombineRule::geometric_mean;
  spec.activation = Activation::sigmoid;
  Case made{spec, 1, {1}, std::vector<bool>(scores.size(), true), {}, std::vector<float>(scores.size(), 1.0F)};
  for (const float score : scores) made.members.push_back({score});
  return made.combined().values.front();
}

TEST_CASE("the geometric mean of a label is that of being right against being wrong") {
  CHECK(label_mean_of({0.5F, 0.5F}) == 0.5F);
  CHECK(label_mean_of({0.8F, 0.2F}) == 0.5F);
  // g = sqrt(0.9 x 0.5), h = sqrt(0.1 x 0.5): g / (g + h) = 3 / (3 + 1).
  CHECK(label_mean_of({0.9F, 0.5F}) == doctest::Approx(0.75));
  CHECK(label_mean_of({0.3F}) == doctest::Approx(0.3));
  CHECK(label_mean_of({1.0F, 0.7F}) == 1.0F);
  CHECK(label_mean_of({0.0F, 0.7F}) == 0.0F);
  CHECK(same(label_mean_of({0.0F, 1.0F}), 0.0F));  // ruled out, like a class
  CHECK(same(label_mean_of({-0.0F, 1.0F}), 0.0F));
  CHECK(label_mean_of({1.0F, 1.0F}) == 1.0F);
  for (const std::vector<float>& wrong : {std::vector{kNotANumber, 0.5F}, {-0.1F, -0.1F}, {1.1F, 1.1F}, {1.1F, 0.0F}})
    CHECK(std::isnan(label_mean_of(wrong)));
  std::vector<float> many(200, 1e-30F);
  CHECK(label_mean_of(many) == doctest::Approx(1e-30));
  many.assign(200, 0.999F);
  CHECK(label_mean_of(many) == doctest::Approx(0.999));
}

/// Of two classes, the other of which has the value 1 in every member.
float geometric_mean_of(const std::vector<float>& scores) {
  CombineSpec spec;
  spec.rule = CombineRule::geometric_mean;
  Case made{spec, 1, {2}, std::vector<bool>(scores.size(), true), {}, std::vector<float>(scores.size(), 1.0F)};
  for (const float score : scores) made.members.push_back({score, 1.0F});
  const float value = made.combined().values.front();
  return value / (1 - value);
}

TEST_CASE("the geometric mean of many or very small probabilities neither overflows nor underflows") {
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  for (const std::size_t members : {1U, 5U, 6U, 7U, 50U, 301U}) {
    CHECK(geometric_mean_of(std::vector<float>(members, 1e-30F)) == doctest::Approx(1e-30));
    CHECK(geometric_mean_of(std::vector<float>(members, kLeast)) == kLeast);
  }
  CHECK(geometric_mean_of({1.0F, 0.0F, 0.5F}) == 0.0F);
  CHECK(geometric_mean_of({-0.0F, 0.5F}) == 0.0F);
  CHECK(std::isnan(geometric_mean_of({-0.5F, -0.5F})));
  CHECK(std::isnan(geometric_mean_of({0.5F, kNotANumber})));
  CHECK(std::isnan(geometric_mean_of({0.0F, kInfinity})));
}

TEST_CASE("the median is NaN where any member is and keeps equal numbers in rank order") {
  const auto median_of = [](const std::vector<float>& values) {
    CombineSpec spec;
    spec.rule = CombineRule::median;
    Case made{spec, 1, {1}, std::vector<bool>(values.size(), true), {}, std::vector<float>(values.size(), 1.0F)};
    for (const float value : values) made.members.push_back({value});
    return made.combined().values.front();
  };
  CHECK(std::isnan(median_of({1, kNotANumber, 3})));
  CHECK(std::isnan(median_of({kNotANumber, 1, 2, 3, 4})));
  CHECK(same(median_of({-0.0F, 0.0F, 0.0F}), 0.0F));
  CHECK(same(median_of({0.0F, -0.0F, 0.0F}), -0.0F));
  CHECK(same(median_of({-0.0F, -0.0F}), -0.0F));
  CHECK(same(median_of({-0.0F, 0.0F}), 0.0F));
  CHECK(median_of({kInfinity, 1, -kInfinity}) == 1);
  CHECK(std::isnan(median_of({kInfinity, -kInfinity})));
}

TEST_CASE("a result is written into the memory that it has") {
  CombineSpec spec;
  for (const CombineRule rule : combining_rules()) {
    CAPTURE(to_name(rule));
    spec.rule = rule;
    const Accumulator accumulator(spec, {1, 1, 1});
    Accumulator::Result result;
    const auto combine = [&](std::uint32_t count, std::uint64_t seed) {
      const Rows members = drawn(Draw::any, 3, count * 60, seed);
      const std::vector<std::span<const float>> spans(members.begin(), members.end());
      accumulator.combine(spans, {true, true, true}, count, {1, 3, 20}, result);
      const auto fresh = accumulator.combine(spans, count, {1, 3, 20});
      CHECK(differing(result.values, fresh.values) == 0);
      CHECK(result.predicted == fresh.predicted);
    };
    combine(5, 1);
    const float* const values = result.values.data();
    const std::int64_t* const predicted = result.predicted.data();
    combine(2, 2);
    combine(5, 3);
    CHECK(result.values.data() == values);
    CHECK(result.predicted.data() == predicted);
    accumulator.nothing(4, {1, 3, 20}, result);
    CHECK(result.values.size() == 240);
    CHECK(std::isnan(result.values.back()));
    CHECK(result.predicted == std::vector<std::int64_t>(80, -1));
    CHECK(result.values.data() == values);
  }
  spec.rule = CombineRule::none;
  Accumulator::Result result{{1, 2}, {3}};
  Accumulator(spec, {1}).combine({}, {}, 1, 2, result);
  CHECK(result.values.empty());
  CHECK(result.predicted.empty());
}

TEST_CASE("members of the wrong size and rules without their classes are mistakes of the caller") {
  const std::vector<float> five(5);
  const std::vector<std::span<const float>> members{five, five};
  const auto failure = [&](CombineRule rule, OutputKind over, Activation activation, const ClassAxis& axis) {
    CombineSpec spec;
    spec.rule = rule;
    spec.over = over;
    spec.activation = activation;
    return failed_check([&] { Accumulator(spec, {1, 1}).combine(members, 1, axis); });
  };
  CHECK(failure(CombineRule::mean, OutputKind::probabilities, Activation::softmax, {1, 2, 3}) ==
        "members[m].size() == values (5 == 6)");
  for (const CombineRule rule : {CombineRule::vote, CombineRule::most_confident}) {
    CHECK(failure(rule, OutputKind::features, Activation::softmax, 5) ==
          "spec_.decides(): the configuration has classes for the rule");
    CHECK(failure(rule, OutputKind::probabilities, Activation::sigmoid, 5) ==
          "spec_.decides(): the configuration has classes for the rule");
  }
}

}  // namespace
}  // namespace tutti::test
