// When two predictions count as the same.
#include "bench/comparison/agreement.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace tutti::bench {
namespace {

const std::vector<float> kReference{0.25F, 0.75F, 0.5F, 0.5F, 1.0F, 0.0F};
constexpr std::uint64_t kImages = 3;

config::CombineSpec rule(CombineRule chosen) {
  config::CombineSpec combine;
  combine.rule = chosen;
  return combine;
}

Agreement agreement_with(const std::vector<float>& answer, CombineRule chosen = CombineRule::mean) {
  return compare(kReference, answer, kImages, tolerance_for(rule(chosen), kReference, kImages));
}

TEST_CASE("the same bytes are the same bits") {
  const Agreement found = agreement_with(kReference);
  CHECK(found.same_bits);
  CHECK(found.within);
  CHECK(found.largest == 0);
  CHECK(to_text(found, {}) == "same bits");
}

TEST_CASE("a difference in the last digits is within the tolerance and says how large it is") {
  std::vector<float> answer = kReference;
  answer[2] += 3e-6F;
  const Agreement found = agreement_with(answer);
  CHECK_FALSE(found.same_bits);
  CHECK(found.within);
  CHECK(found.beyond == 0);
  CHECK(to_text(found, {1e-5, 0}) == "differs by at most 3e-06 (tolerance 1e-05)");
}

TEST_CASE("a larger difference is beyond it") {
  std::vector<float> answer = kReference;
  answer[5] = 0.1F;
  const Agreement found = agreement_with(answer);
  CHECK_FALSE(found.within);
  CHECK(found.beyond == 1);
  CHECK(to_text(found, {1e-5, 0}) == "1 image differs by up to 0.1 (tolerance 1e-05, 0 may be tipped)");
}

TEST_CASE("a negative zero is another bit pattern and no difference") {
  std::vector<float> answer = kReference;
  answer[5] = -0.0F;
  const Agreement found = agreement_with(answer);
  CHECK_FALSE(found.same_bits);
  CHECK(found.within);
  CHECK(found.largest == 0);
}

TEST_CASE("two values that are NaN agree and one alone does not") {
  std::vector<float> reference = kReference;
  reference[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK(compare(reference, reference, kImages, {1e-5, 0}).within);
  const Agreement found = compare(reference, kReference, kImages, {1e-5, 0});
  CHECK_FALSE(found.within);
  CHECK(std::isinf(found.largest));
}

TEST_CASE("predictions of another size or none at all do not agree") {
  CHECK_FALSE(agreement_with({0.25F, 0.75F}).within);
  CHECK_FALSE(compare({}, {}, 0, {1, 1}).within);
}

TEST_CASE("the tolerance grows with values above one and counts no infinity") {
  const std::vector<float> large{-200.0F, std::numeric_limits<float>::infinity()};
  CHECK(tolerance_for({}, large, 1).value == doctest::Approx(2e-3));
  CHECK(tolerance_for({}, kReference, 3).value == doctest::Approx(1e-5));
}

TEST_CASE("a rule that picks may be tipped on one image in a thousand") {
  std::vector<float> answer = kReference;
  answer[0] = 0.75F;
  answer[1] = 0.25F;
  CHECK(agreement_with(answer, CombineRule::vote).within);
  CHECK_FALSE(agreement_with(answer, CombineRule::mean).within);
  answer[4] = 0;
  CHECK_FALSE(agreement_with(answer, CombineRule::vote).within);
  CHECK(tolerance_for(rule(CombineRule::most_confident), kReference, 6000).tipped == 6);
  CHECK(tolerance_for(rule(CombineRule::median), kReference, 6000).tipped == 0);
}

}  // namespace
}  // namespace tutti::bench
