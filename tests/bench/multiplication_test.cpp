// The arithmetic that a member's layers need.
#include "bench/comparison/multiplication.hpp"

#include <doctest/doctest.h>

namespace tutti::bench {
namespace {

constexpr ImageShape kMultipliedShape{3, 32, 32};

TEST_CASE("the arithmetic of small-cnn is that of its layers") {
  CHECK(operations_per_image(SmallCnnModel{10}, kMultipliedShape) == doctest::Approx(9.097e6).epsilon(1e-3));
}

TEST_CASE("the arithmetic of an mlp is that of its matrices") {
  CHECK(operations_per_image(MlpModel{{16, 10}}, {1, 2, 3}) == 2.0 * (6 * 16 + 16 * 10));
}

TEST_CASE("the arithmetic of an ensemble is known if that of all members is") {
  config::EnsembleSpec spec;
  spec.members.resize(2);
  for (config::MemberSpec& member : spec.members) member.model.kind = MlpModel{{10}};
  CHECK(operations_per_image(spec, {1, 1, 1}) == 40.0);
  spec.members[1].model.kind = FakeModel{};
  CHECK_FALSE(operations_per_image(spec, {1, 1, 1}).has_value());
}

}  // namespace
}  // namespace tutti::bench
