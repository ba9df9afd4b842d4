// tutti/parts.hpp: members that are split over several ensembles, and combined elsewhere, with the bytes of one. What
// else it refuses is tested from Python, which is what uses it.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <tutti/parts.hpp>

#include "config/spec.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

config::EnsembleSpec five(CombineRule rule) {
  auto spec = fake_spec(5);
  for (std::size_t rank = 0; rank < 5; ++rank) spec.members[rank].weight = static_cast<double>(rank + 1);
  spec.combine.rule = rule;
  spec.save_members = true;
  return spec;
}

/// The predictions of the members of these ranks, from an ensemble of their own.
std::vector<MemberPredictions> of_part(const Spec& spec, std::vector<std::size_t> ranks, const Images& given) {
  Ensemble part(part_of(spec, std::move(ranks)), with_worker());
  return part.predict(given).members;
}

Predictions small(const Spec& spec, std::vector<MemberPredictions> members) {
  return combine(spec, 2, std::move(members));
}

MemberPredictions rows_of(const std::string& name, const std::vector<float>& values) {
  const auto width = static_cast<std::uint32_t>(values.size() / 2);
  return {.name = name, .shape = {width}, .width = width, .values = values};
}

TEST_CASE("parts that are combined have the bytes of the whole, in any order") {
  const NothingLeft census;
  const auto pixels = random_images(21, 3);
  for (const CombineRule rule : {CombineRule::mean, CombineRule::weighted, CombineRule::max, CombineRule::vote,
                                 CombineRule::median, CombineRule::none}) {
    CAPTURE(static_cast<int>(rule));
    const Spec whole = settled(published(five(rule)));
    const Predictions expected = Ensemble(whole, with_worker()).predict(view(pixels));
    std::vector<MemberPredictions> members;
    for (const std::vector<std::size_t>& ranks : {std::vector<std::size_t>{3, 0}, {1}, {4, 2}})
      for (MemberPredictions& member : of_part(whole, ranks, view(pixels))) members.push_back(std::move(member));
    const Predictions combined = combine(whole, expected.count, std::move(members));
    CHECK(combined.values == expected.values);
    CHECK(combined.predicted == expected.predicted);
    CHECK(combined.shape == expected.shape);
    REQUIRE(combined.members.size() == expected.members.size());
    for (std::size_t rank = 0; rank < 5; ++rank) {
      CHECK(combined.members[rank].name == expected.members[rank].name);
      CHECK(combined.members[rank].values == expected.members[rank].values);
    }
  }
}

TEST_CASE("a part keeps the names, the order and the segments of the whole") {
  const Spec spec = published(five(CombineRule::mean));
  const Spec part = part_of(spec, {3, 1});
  CHECK(member_names(part) == std::vector<std::string>{"m1", "m3"});
  CHECK(segment_images(part) == segment_images(spec));
  CHECK(part.checked().combine.rule == CombineRule::none);
  CHECK(sample_of(part) == sample_of(spec));
}

TEST_CASE("what cannot be split or combined is refused, and says why") {
  const Spec spec = published(fake_spec(2));
  CHECK(message_of([&] { part_of(spec, {}); }) == "a part of an ensemble needs at least one member");
  CHECK(message_of([&] { part_of(spec, {2}); }) == "there is no member of rank 2");
  CHECK(message_of([&] { part_of(spec, {0, 0}); }) == "m0 is named twice");
  CHECK(message_of([&] {
          small(spec, {rows_of("m0", {1, 0, 0, 1})});
        }) == "the predictions are not those of the ensemble's members");
  CHECK(message_of([&] {
          small(spec, {rows_of("m0", {1, 0, 0, 1}), rows_of("m1", {1, 0, 0, 0, 1, 0})});
        }) == "m0 and m1 cannot be combined");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of([&] {
          small(spec, {rows_of("m0", {1, 0, 0, 1}), rows_of("m1", {1, 0, nan, 1})});
        }) == "m1 has NaN or infinity for sample 1");
  auto allowing = fake_spec(2);
  allowing.failure.on_nan = OnNan::allow;
  const Predictions p = small(published(allowing), {rows_of("m0", {1, 0, 0, 1}), rows_of("m1", {1, 0, nan, 1})});
  CHECK(p.values[0] == 1);
  CHECK(std::isnan(p.values[2]));
}

TEST_CASE("places are the same if what bytes depend on is") {
  const Spec spec = published(fake_spec(2));
  const auto here = fingerprint(spec, worker_program());
  CHECK(here.at("members.1.name") == "m1");
  CHECK(fingerprint(spec, worker_program()) == here);
  auto other = fake_spec(2);
  other.members[1].seed += 1;
  CHECK(fingerprint(published(other), worker_program()) != here);
}

}  // namespace
}  // namespace tutti::test
