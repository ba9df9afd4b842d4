// Which plane of a folder's pictures each member sees, and what planes cost.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/resample.hpp"
#include "config/load.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/plan.hpp"
#include "tests/common/error_of.hpp"
#include "tests/coordinator/plan/plans.hpp"

namespace tutti::test {
namespace {

TEST_CASE("members see the plane of their resize and crop and their workers resize nothing") {
  const auto spec = config::load_text(R"(
members:
  - {name: a, model: {kind: fake}, input: {resize: [6, 4], mean: 0.5}}
  - {name: b, model: {kind: fake}}
  - {name: c, model: {kind: fake}, input: {resize: [6, 4]}}
assignment: cpu
input: {dataset: folder, path: d, resize: 9, crop: 8, decode_threads: 2, preprocess: {std: 2}}
segment_images: 10
slots: 2
)",
                                      "test");
  const auto plan_with = [&](const config::EnsembleSpec& of) {
    return make_plan(of, machine_of(1), {{3, 8, 8}, {}, Dtype::uint8, planes_of(of, of.input)}, {});
  };
  const Plan plan = plan_with(spec);
  CHECK(plan.arena.arrays == std::vector<TensorLayout>{{Dtype::uint8, {3, 6, 4}}, {Dtype::uint8, {3, 8, 8}}});
  std::vector<std::uint32_t> arrays;
  for (const MemberPlan& member : plan.members) {
    const TakenTensor& taken = member.request.takes.at(0);
    arrays.push_back(taken.array);
    REQUIRE(taken.input);
    CHECK(taken.input->resize == Resize{});
    CHECK(taken.seen.dims == taken.stored.dims);
    CHECK(taken.seen == (taken.array == 0 ? ImageShape{3, 6, 4} : ImageShape{3, 8, 8}).layout());
  }
  CHECK(arrays == std::vector<std::uint32_t>{0, 1, 0});
  CHECK(plan.members[0].request.takes[0].input->mean == std::vector<float>{0.5F});
  CHECK(plan.members[1].request.takes[0].input->std == std::vector<float>{2});
  CHECK(plan.bounds[0].bytes == plan.arena.bytes());
  CHECK(contains(plan.bounds[0].name,
                 "x 16.4 kB (segment of 10 images 3x6x4 as bytes and 3x8x8 as bytes, labels, numbers)"));
  // One plane takes what one array takes, and decoding for one takes less than for two.
  auto alike = spec;
  alike.members[0].input.reset();
  alike.members[2].input.reset();
  const Plan one = plan_with(alike);
  CHECK(one.bounds[0].bytes == ArenaLayout{2, 10, {3, 8, 8}, Dtype::uint8}.bytes());
  CHECK(one.bounds[1].bytes == 2 * (45ULL << 20));
  CHECK(plan.bounds[1].bytes ==
        2 * ((45ULL << 20) + Resampler::buffer_bytes(plan.input.planes[1].resize, {3, 3000, 4000})));
  alike.input.orientation = Orientation::exif;
  CHECK(plan_with(alike).bounds[1].bytes == 2 * ((45ULL << 20) + 36'000'000));
}

TEST_CASE("encoded pictures of a program have planes as those of a folder have") {
  const std::string members = R"(
members:
  - {name: a, model: {kind: fake}, input: {resize: [6, 4], mean: 0.5}}
  - {name: b, model: {kind: fake}}
assignment: cpu
)";
  const std::string resize =
      "resize: 9, crop: 8, decode_threads: 2, jpeg_scaling: true, orientation: exif, "
      "preprocess: {std: 2}}\n";
  const auto spec = config::load_text(members + "input: {" + resize, "test");
  const InputForm form = input_form(spec, spec.input);
  CHECK_FALSE(form.images);
  CHECK(form.tensors == std::vector<NamedLayout>{{"image", {Dtype::uint8, {3, 8, 8}}}});
  CHECK(form.decoding.threads == 2);
  CHECK(form.decoding.jpeg_scaling);
  CHECK(form.decoding.orientation == Orientation::exif);
  const auto folder = config::load_text(members + "input: {dataset: folder, path: no-such, " + resize, "test");
  CHECK(form.planes == planes_of(folder, folder.input));
  const Plan plan = make_plan(spec, machine_of(1), form, {});
  const Plan of_folder = make_plan(folder, machine_of(1), api_form(folder, folder.input), {});
  CHECK(plan.arena.arrays == of_folder.arena.arrays);
  CHECK(plan.decode_threads == 2);
  CHECK(plan.turns_pictures);
  for (std::size_t rank = 0; rank < 2; ++rank)
    CHECK(plan.members[rank].request.takes == of_folder.members[rank].request.takes);
  CHECK(plan.members[1].request.takes[0].input->std == std::vector<float>{2});
  for (const Bound& bound : of_folder.bounds)
    CHECK(std::ranges::any_of(plan.bounds, [&](const Bound& other) { return other.name == bound.name; }));
}

}  // namespace
}  // namespace tutti::test
