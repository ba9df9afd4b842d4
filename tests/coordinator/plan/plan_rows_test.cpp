// What a plan says of stages whose samples have several rows.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "common/wire/channel.hpp"
#include "config/load.hpp"
#include "tests/common/error_of.hpp"
#include "tests/coordinator/plan/plans.hpp"

namespace tutti::test {
namespace {

const std::string kFinder =
    "members:\n"
    "  - name: a\n"
    "    input: {mean: 0.5}\n"
    "    stages: [{model: {kind: fake, classes: 8}}, {model: {kind: fake, classes: 7, per_class: [5]}},\n"
    "             {step: crop_boxes, max: 4, resize: [6, 6]}, {model: {kind: fake, classes: 9}},\n"
    "             {model: {kind: fake, classes: 2}}, {step: reduce}]\n"
    "  - {name: b, model: {kind: fake, classes: 2}}\n"
    "assignment: cpu\nbatch_images: 10\nsegment_images: 20\nslots: 3\n";

Plan plan_of(const std::string& text) {
  return make_plan(config::load_text(text, "test", {}), machine_of(4), {{3, 32, 32}, {}}, {});
}

Plan finder_plan() { return plan_of(kFinder); }

Bound bound_of(const Plan& plan, const std::string& begin) {
  const auto found = std::ranges::find_if(plan.bounds, [&](const Bound& one) { return one.name.starts_with(begin); });
  REQUIRE_MESSAGE(found != plan.bounds.end(), begin);
  return *found;
}

/// A member with these stages.
std::string with_stages(const std::string& stages) {
  return "members: [{name: a, input: {mean: 0.5}, stages: [" + stages +
         "]}]\nassignment: cpu\nbatch_images: 10\nsegment_images: 20\nslots: 3\n";
}

TEST_CASE("a stage knows how many rows it is fed with and the picture that it cuts") {
  const Plan plan = finder_plan();
  REQUIRE(plan.members.size() == 5);  // a/3, b, a/0, a/1, a/2
  CHECK(plan.request_of(2).fed_rows == 0);
  CHECK(plan.request_of(3).fed_rows == 0);
  CHECK(plan.request_of(4).fed_rows == 4);
  CHECK(plan.request_of(0).fed_rows == 4);
  CHECK(plan.request_of(1).fed_rows == 0);
  REQUIRE(plan.request_of(3).picture);
  CHECK(*plan.request_of(3).picture == plan.request_of(2).takes.front());
  CHECK(plan.request_of(3).picture->input.has_value());
  for (const Rank rank : {Rank(0), Rank(1), Rank(2), Rank(4)}) CHECK_FALSE(plan.request_of(rank).picture);
  CHECK(plan.request_of(4).seen() == TensorLayout{Dtype::float32, {3, 6, 6}});
  CHECK(plan.members[3].rows() == 4);
  CHECK(plan.members[4].rows() == 4);
  CHECK(plan.members[0].rows() == 0);
  CHECK(plan.chains().reads_rows(0));
  CHECK(plan.chains().reads_rows(4));
  CHECK_FALSE(plan.chains().reads_rows(3));
  CHECK_FALSE(plan.chains().reads_rows(1));
}

TEST_CASE("the bounds count the most rows and those that wait to be reduced") {
  const Plan plan = finder_plan();
  const auto bound = [&](const std::string& begin) { return bound_of(plan, begin); };
  const Bound crops = bound("channel of a/1: ");
  CHECK(crops.name.ends_with(" of up to 4 rows for each image"));
  CHECK(crops.bytes == ChannelLayout(3, 20, {3 * 6 * 6}, {4}).bytes());
  CHECK(bound("channel of a/3: ").bytes == ChannelLayout(3, 20, {2}).bytes());
  CHECK_FALSE(contains(bound("channel of b: ").name, "rows"));
  const Bound waiting = bound("rows of a/3 before they are reduced: ");
  CHECK(waiting.name == "rows of a/3 before they are reduced: 80 rows x 2 values");
  CHECK(waiting.bytes == 80 * 2 * sizeof(float));
  // Boxes of a batch, a part of a picture, and what resizing it takes.
  const Bound boxes = bound("steps behind a/1: ");
  CHECK(boxes.bytes >= (10 * 7 * 5 + 3 * 32 * 32) * sizeof(float));
  CHECK(boxes.bytes < 10 * (10 * 7 * 5 + 3 * 32 * 32) * sizeof(float));
  const Bound pictures = bound("pictures to crop, prepared for a/1: 10 x 3x32x32");
  CHECK(pictures.bytes >= 10 * 3 * 32 * 32 * sizeof(float));
}

TEST_CASE("crops have their size whatever the detector outputs") {
  const Plan plan = plan_of(
      with_stages("{model: {kind: torchscript, path: detector.pt}}, {step: crop_boxes, max: 4, resize: [64, 64]}, "
                  "{model: {kind: torchscript, path: classifier.pt}}, {step: reduce}"));
  CHECK(bound_of(plan, "channel of a/0: ").bytes == ChannelLayout(3, 20, {3 * 64 * 64}, {4}).bytes());
  CHECK(plan.request_of(0).seen() == TensorLayout{Dtype::float32, {3, 64, 64}});
}

TEST_CASE("what is made of reduced rows is of a whole segment") {
  const Plan plan = plan_of(
      with_stages("{model: {kind: fake, classes: 7, per_class: [5]}}, {step: crop_boxes, max: 4, resize: [6, 6]}, "
                  "{model: {kind: fake, classes: 3, per_class: [16, 16]}}, {step: reduce}, "
                  "{step: resize, resize: [32, 32]}"));
  const Bound behind = bound_of(plan, "steps behind a/1: ");
  CHECK(behind.name.ends_with(" before those that change their size, behind reduce of a segment"));
  CHECK(behind.bytes >= std::uint64_t{20} * 3 * 16 * 16 * sizeof(float));
  CHECK(behind.bytes < std::uint64_t{40} * 3 * 16 * 16 * sizeof(float));
}

}  // namespace
}  // namespace tutti::test
