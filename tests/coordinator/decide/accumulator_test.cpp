// The combine rules, each against a plain loop that shares no code with the accumulator, and their ties and edges.
#include "coordinator/decide/accumulator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "common/random.hpp"
#include "tests/common/death.hpp"
#include "tests/common/error_of.hpp"
#include "tests/coordinator/decide/naive_rules.hpp"

namespace tutti::test {
namespace {

Accumulator::Result combine(CombineRule rule, const Rows& members, std::uint32_t width, std::vector<float> weights = {},
                            bool f64 = false, OutputKind over = OutputKind::probabilities, bool normalize = true) {
  if (weights.empty()) weights.assign(members.size(), 1.0F);
  const std::vector<std::span<const float>> spans(members.begin(), members.end());
  const auto count = members.empty() ? 0 : static_cast<std::uint32_t>(members.front().size() / width);
  return Accumulator({rule, over, normalize, f64}, weights).combine(spans, count, width);
}

Rows random_members(std::size_t members, std::size_t values, std::uint64_t seed) {
  Rows rows(members, std::vector<float>(values));
  for (std::size_t m = 0; m < members; ++m)
    for (std::size_t i = 0; i < values; ++i) rows[m][i] = unit_float(random_at(seed + m, i));
  return rows;
}

std::vector<float> column(const Rows& members, std::size_t i) {
  std::vector<float> values;
  for (const auto& row : members) values.push_back(row[i]);
  return values;
}

template <class Rule>
std::vector<float> naive(const Rows& members, Rule rule) {
  std::vector<float> result;
  for (std::size_t i = 0; i < members.front().size(); ++i) result.push_back(rule(column(members, i)));
  return result;
}

float sum_f32(const std::vector<float>& values) {
  float sum = 0.0F;
  for (const float value : values) sum += value;
  return sum;
}

std::vector<std::int64_t> naive_argmax(const std::vector<float>& values, std::size_t width) {
  std::vector<std::int64_t> classes;
  for (std::size_t first = 0; first < values.size(); first += width) {
    std::size_t best = 0;
    for (std::size_t c = 1; c < width; ++c)
      if (values[first + c] > values[first + best]) best = c;
    classes.push_back(static_cast<std::int64_t>(best));
  }
  return classes;
}

const Rows kMembers = random_members(5, 6 * 7, 11);
constexpr std::uint32_t kWidth = 7;
const std::vector<float> kWeights{1.0F, 0.25F, 3.0F, 0.1F, 2.0F};

TEST_CASE("the mean is the sum in rank order over the number of members") {
  const auto result = combine(CombineRule::mean, kMembers, kWidth);
  CHECK(result.values == naive(kMembers, [](const auto& x) { return sum_f32(x) / 5.0F; }));
  CHECK(result.predicted == naive_argmax(result.values, kWidth));
}

TEST_CASE("the sum is taken in rank order") {
  CHECK(combine(CombineRule::sum, kMembers, kWidth).values == naive(kMembers, sum_f32));
  // In another order these float32 sums differ in their last bits; the rule promises the order.
  Rows turned(kMembers.rbegin(), kMembers.rend());
  CHECK(combine(CombineRule::sum, turned, kWidth).values != naive(kMembers, sum_f32));
}

TEST_CASE("the weighted mean uses the weights and divides by their sum") {
  const auto weighted = [](const std::vector<float>& x) {
    float sum = 0.0F;
    for (std::size_t m = 0; m < x.size(); ++m) sum += kWeights[m] * x[m];
    return sum;
  };
  const float total = sum_f32(kWeights);
  CHECK(combine(CombineRule::weighted, kMembers, kWidth, kWeights).values ==
        naive(kMembers, [&](const auto& x) { return weighted(x) / total; }));
  CHECK(combine(CombineRule::weighted, kMembers, kWidth, kWeights, false, OutputKind::probabilities, false).values ==
        naive(kMembers, weighted));
  CHECK(combine(CombineRule::mean, kMembers, kWidth, kWeights).values ==
        combine(CombineRule::mean, kMembers, kWidth).values);
}

TEST_CASE("the maximum is taken value by value") {
  CHECK(combine(CombineRule::max, kMembers, kWidth).values ==
        naive(kMembers, [](const auto& x) { return *std::max_element(x.begin(), x.end()); }));
}

TEST_CASE("the median of an odd number is the middle and of an even number the mean of both") {
  const auto median = [](std::vector<float> x) {
    std::sort(x.begin(), x.end());
    const std::size_t n = x.size();
    return n % 2 == 1 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2.0F;
  };
  CHECK(combine(CombineRule::median, kMembers, kWidth).values == naive(kMembers, median));
  const Rows four(kMembers.begin(), kMembers.begin() + 4);
  CHECK(combine(CombineRule::median, four, kWidth).values == naive(four, median));
  CHECK(combine(CombineRule::median, {{1, 9}, {3, 1}, {2, 2}, {8, 4}}, 2).values == std::vector<float>{2.5F, 3.0F});
}

TEST_CASE("the most confident member decides and among equals the first") {
  const Rows members{{0.6F, 0.4F, 0.2F, 0.8F}, {0.3F, 0.7F, 0.8F, 0.2F}};
  const auto result = combine(CombineRule::most_confident, members, 2);
  CHECK(result.values == std::vector<float>{0.3F, 0.7F, 0.2F, 0.8F});  // both have 0.8: rank 0 wins
  CHECK(result.predicted == std::vector<std::int64_t>{1, 1});
  const Rows logits{{-5, -4}, {-3, -9}};
  CHECK(combine(CombineRule::most_confident, logits, 2, {}, false, OutputKind::logits).values ==
        std::vector<float>{-3, -9});
}

TEST_CASE("the geometric mean is the normalised exponential of the mean logarithm") {
  const auto result = combine(CombineRule::geometric_mean, kMembers, kWidth);
  for (std::size_t first = 0; first < result.values.size(); first += kWidth) {
    std::vector<double> expected;
    for (std::size_t c = 0; c < kWidth; ++c) {
      double product = 1;
      for (const float x : column(kMembers, first + c)) product *= static_cast<double>(x);
      expected.push_back(std::pow(product, 1.0 / 5));
    }
    const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
    for (std::size_t c = 0; c < kWidth; ++c)
      CHECK(static_cast<double>(result.values[first + c]) == doctest::Approx(expected[c] / sum).epsilon(1e-5));
  }
}

TEST_CASE("the geometric mean rules out a class that any member rules out") {
  const auto result = combine(CombineRule::geometric_mean, {{0.0F, 0.5F, 0.5F}, {0.9F, 0.05F, 0.05F}}, 3);
  CHECK(result.values == std::vector<float>{0.0F, 0.5F, 0.5F});
  CHECK(result.predicted == std::vector<std::int64_t>{1});
}

TEST_CASE("the geometric mean of members that rule out everything together is zero and not NaN") {
  const auto result = combine(CombineRule::geometric_mean, {{0.0F, 1.0F}, {1.0F, 0.0F}}, 2);
  CHECK(result.values == std::vector<float>{0.0F, 0.0F});
  CHECK(result.predicted == std::vector<std::int64_t>{0});
}

TEST_CASE("the vote counts members and gives shares") {
  const Rows members{{0.6F, 0.4F}, {0.55F, 0.45F}, {0.1F, 0.9F}};
  const auto result = combine(CombineRule::vote, members, 2);
  CHECK(result.values == std::vector<float>{2.0F / 3.0F, 1.0F / 3.0F});
  CHECK(result.predicted == std::vector<std::int64_t>{0});  // the mean would say 1
}

TEST_CASE("the vote uses the weights") {
  const Rows members{{0.6F, 0.4F}, {0.55F, 0.45F}, {0.1F, 0.9F}};
  const auto result = combine(CombineRule::vote, members, 2, {1.0F, 1.0F, 2.5F});
  CHECK(result.values == std::vector<float>{2.0F / 4.5F, 2.5F / 4.5F});
  CHECK(result.predicted == std::vector<std::int64_t>{1});
}

TEST_CASE("of equal votes the higher summed weighted score wins") {
  const Rows members{{0.6F, 0.4F, 0.0F}, {0.0F, 0.3F, 0.7F}};
  CHECK(combine(CombineRule::vote, members, 3).predicted == std::vector<std::int64_t>{2});
  // The votes are 2 to 2, and the scores are weighted too: 2 x 0.6 against 2 x 0.7.
  CHECK(combine(CombineRule::vote, {{0.8F, 0.2F}, {0.3F, 0.7F}}, 2, {2.0F, 2.0F}).predicted ==
        std::vector<std::int64_t>{0});
  // The first two share class 0 with weight 1 each, the third has weight 2: only with weighted scores does class 1 win.
  const Rows three{{0.51F, 0.49F}, {0.51F, 0.49F}, {0.45F, 0.55F}};
  CHECK(combine(CombineRule::vote, three, 2, {1.0F, 1.0F, 2.0F}).predicted == std::vector<std::int64_t>{1});
}

TEST_CASE("of equal votes and equal scores the lower class wins") {
  CHECK(combine(CombineRule::vote, {{0.25F, 0.75F, 0.0F}, {0.75F, 0.25F, 0.0F}}, 3).predicted ==
        std::vector<std::int64_t>{0});
  CHECK(combine(CombineRule::vote, {{0.0F, 0.25F, 0.75F}, {0.0F, 0.75F, 0.25F}}, 3).predicted ==
        std::vector<std::int64_t>{1});
}

TEST_CASE("a member whose values are equal votes for the lowest class") {
  CHECK(combine(CombineRule::vote, {{0.5F, 0.5F}}, 2).predicted == std::vector<std::int64_t>{0});
  CHECK(combine(CombineRule::mean, {{0.5F, 0.5F}}, 2).predicted == std::vector<std::int64_t>{0});
}

TEST_CASE("float64 sums keep what float32 loses") {
  // 1 + 2^-24 + 2^-24: each small addend by itself is lost in float32.
  const Rows members{{1.0F}, {0x1p-24F}, {0x1p-24F}};
  CHECK(combine(CombineRule::sum, members, 1).values == std::vector<float>{1.0F});
  CHECK(combine(CombineRule::sum, members, 1, {}, true).values == std::vector<float>{1.0F + 0x1p-23F});
  const Rows many = random_members(9, 70, 5);
  const auto exact =
      naive(many, [](const auto& x) { return static_cast<float>(std::accumulate(x.begin(), x.end(), 0.0) / 9.0); });
  CHECK(combine(CombineRule::mean, many, 7, {}, true).values == exact);
  CHECK(combine(CombineRule::mean, many, 7).values != exact);
}

/// The members with these ranks.
Rows chosen(const Rows& members, const std::vector<std::size_t>& ranks) {
  Rows rows;
  for (const std::size_t rank : ranks) rows.push_back(members[rank]);
  return rows;
}

struct Options {
  std::vector<float> weights = kWeights;
  bool normalize = true;
  bool f64 = false;
  OutputKind over = OutputKind::probabilities;
};

/// Combines only the members with these ranks; the others have no values at all.
Accumulator::Result combine_some(CombineRule rule, const std::vector<std::size_t>& ranks, const Options& options = {}) {
  std::vector<std::span<const float>> spans(kMembers.size());
  std::vector<bool> present(kMembers.size(), false);
  for (const std::size_t rank : ranks) {
    spans[rank] = kMembers[rank];
    present[rank] = true;
  }
  const Accumulator accumulator({rule, options.over, options.normalize, options.f64}, options.weights);
  return accumulator.combine(spans, present, 6, kWidth);
}

bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

const std::vector<std::size_t> kSome{0, 2, 3};
const Rows kSomeMembers = chosen(kMembers, kSome);
const std::vector<float> kSomeWeights{1.0F, 3.0F, 0.1F};

TEST_CASE("with all members present every rule gives the same bytes as without `present`") {
  for (const auto& entry : enum_names(CombineRule{}))
    for (const bool normalize : {true, false})
      for (const bool f64 : {true, false}) {
        CAPTURE(entry.name);
        const auto whole = combine(entry.value, kMembers, kWidth, kWeights, f64, OutputKind::probabilities, normalize);
        const auto all = combine_some(entry.value, {0, 1, 2, 3, 4}, {kWeights, normalize, f64});
        CHECK(same_bytes(all.values, whole.values));
        CHECK(all.predicted == whole.predicted);
      }
}

TEST_CASE("rules that divide give without a member what an ensemble of the others gives") {
  for (const CombineRule rule : {CombineRule::mean, CombineRule::weighted, CombineRule::max, CombineRule::vote,
                                 CombineRule::most_confident, CombineRule::median, CombineRule::geometric_mean})
    for (const bool f64 : {true, false}) {
      CAPTURE(to_name(rule));
      const auto expected = combine(rule, kSomeMembers, kWidth, kSomeWeights, f64);
      const auto result = combine_some(rule, kSome, {kWeights, true, f64});
      CHECK(same_bytes(result.values, expected.values));
      CHECK(result.predicted == expected.predicted);
    }
  CHECK(combine_some(CombineRule::mean, kSome).values ==
        naive(kSomeMembers, [](const auto& x) { return sum_f32(x) / 3.0F; }));
}

TEST_CASE("a sum without some members is scaled to the size that all would have") {
  CHECK(combine_some(CombineRule::sum, kSome).values ==
        naive(kSomeMembers, [](const auto& x) { return sum_f32(x) * static_cast<float>(5.0 / 3.0); }));
  CHECK(combine_some(CombineRule::sum, {4}).values == naive({kMembers[4]}, [](const auto& x) { return x[0] * 5.0F; }));
}

TEST_CASE("a weighted sum without some members is scaled by the sizes of the weights") {
  // The weights of all have the size 1 + 0.25 + 3 + 0.5 + 2, those of ranks 0, 2 and 3 the size 4.5.
  const std::vector<float> weights{1.0F, -0.25F, 3.0F, -0.5F, 2.0F};
  const auto expected = naive(kSomeMembers, [](const auto& x) {
    return (1.0F * x[0] + 3.0F * x[1] + -0.5F * x[2]) * static_cast<float>(6.75 / 4.5);
  });
  CHECK(combine_some(CombineRule::weighted, kSome, {weights, false}).values == expected);
  // Even weights whose sum is 0 have a size.
  CHECK(combine_some(CombineRule::weighted, {0, 1}, {{1, -1, 2, 0, 0}, false}).values ==
        naive(chosen(kMembers, {0, 1}), [](const auto& x) { return (x[0] - x[1]) * 2.0F; }));
}

TEST_CASE("over features or with the rule none nothing is decided without a member either") {
  CHECK(combine_some(CombineRule::mean, kSome, {kWeights, true, false, OutputKind::features}).predicted.empty());
  CHECK(combine_some(CombineRule::none, kSome).values.empty());
}

TEST_CASE("weights that sum to 0 without a member are an error that names them") {
  const std::vector<float> weights{1.0F, 0.5F, -1.0F, 0.0F, 3.0F};
  const auto error = error_of([&] { combine_some(CombineRule::weighted, {0, 2, 3}, {weights}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "rule weighted cannot continue: the weights of the members that are left sum to 0");
  CHECK(error->detail() == "weights of those present: rank 0: 1, rank 2: -1, rank 3: 0");
  CHECK(error->hint() == "change the weights, combine by another rule, or do not degrade (on_worker_failure, on_nan)");
  const auto vote = error_of([&] { combine_some(CombineRule::vote, {3}, {weights}); });
  REQUIRE(vote);
  CHECK(vote->message() == "rule vote cannot continue: the weights of the members that are left sum to 0");
  const auto plain = error_of([&] { combine_some(CombineRule::weighted, {3}, {weights, false}); });
  REQUIRE(plain);
  CHECK(plain->detail() == "weights of those present: rank 3: 0");
  // What is left of weights that cancel is their rounding error, also if it is added up in float64.
  const std::vector<float> near{0.1F, 0.2F, -0.3F, 5.0F, 5.0F};
  CHECK(error_of([&] { combine_some(CombineRule::weighted, {0, 1, 2}, {near}); }));
  CHECK(error_of([&] { combine_some(CombineRule::weighted, {0, 1, 2}, {near, true, true}); }));
  CHECK_FALSE(error_of([&] { combine_some(CombineRule::mean, {3}, {weights}); }));
}

TEST_CASE("finite outputs that overflow when they are combined are an error that names the image") {
  const Rows large{{0, 1, 3e38F, 0}, {0, 1, 3e38F, 0}};
  const auto refusal = [&](CombineRule rule, OnNan on_nan) {
    const Accumulator accumulator({rule, OutputKind::logits, true, false}, {1, 1}, on_nan);
    const std::vector<std::span<const float>> spans(large.begin(), large.end());
    const auto result = accumulator.combine(spans, 2, 2);
    return error_of([&] { accumulator.check_finite(result.values, 2, 40); });
  };
  const auto error = refusal(CombineRule::sum, OnNan::error);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "rule sum gives NaN or infinity for image 41, although every member is finite there");
  CHECK(error->detail() == "the values of the members are too large for float32 when they are combined over logits");
  CHECK(error->hint() ==
        "combine over probabilities, change the weights, or let such values into the result with 'on_nan: allow'");
  CHECK(refusal(CombineRule::mean, OnNan::degrade));  // the sum of a mean is not scaled
  CHECK_FALSE(refusal(CombineRule::max, OnNan::error));
  CHECK_FALSE(refusal(CombineRule::sum, OnNan::allow));
}

TEST_CASE("the result without an output is NaN and no class") {
  const auto result = Accumulator({CombineRule::vote, OutputKind::logits, true, false}, {1.0F}).nothing(2, 3);
  REQUIRE(result.values.size() == 6);
  CHECK(std::all_of(result.values.begin(), result.values.end(), [](float value) { return std::isnan(value); }));
  CHECK(result.predicted == std::vector<std::int64_t>{-1, -1});
  CHECK(Accumulator({CombineRule::mean, OutputKind::features, true, false}, {1.0F}).nothing(2, 3).predicted.empty());
  CHECK(Accumulator({CombineRule::none, OutputKind::logits, true, false}, {1.0F}).nothing(2, 3).values.empty());
}

TEST_CASE("over features no class is predicted") {
  const auto result = combine(CombineRule::mean, kMembers, kWidth, {}, false, OutputKind::features);
  CHECK(result.predicted.empty());
  CHECK(result.values.size() == 42);
}

TEST_CASE("the rule none combines nothing") {
  const auto result = combine(CombineRule::none, kMembers, kWidth);
  CHECK(result.values.empty());
  CHECK(result.predicted.empty());
}

TEST_CASE("one member is its own ensemble bit for bit") {
  const Rows one{kMembers[0]};
  for (const CombineRule rule : {CombineRule::mean, CombineRule::sum, CombineRule::weighted, CombineRule::max,
                                 CombineRule::most_confident, CombineRule::median})
    CHECK(combine(rule, one, kWidth).values == kMembers[0]);
}

TEST_CASE("no images give no values") {
  for (const auto& entry : enum_names(CombineRule{})) {
    const auto result = combine(entry.value, {{}, {}}, 3);
    CHECK(result.values.empty());
    CHECK(result.predicted.empty());
  }
}

TEST_CASE("values that are not whole rows are a failed check") {
  const Accumulator accumulator({}, {1.0F});
  CHECK(failed_check([&] {
          accumulator.check_finite(std::vector<float>{1, 2, 3}, 2, 0);
        }).ends_with("values are whole rows"));
}

}  // namespace
}  // namespace tutti::test
