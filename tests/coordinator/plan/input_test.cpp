// The source that a description names.
#include "coordinator/plan/input.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include <tutti/error.hpp>

#include "common/tensor_text.hpp"
#include "images/sources.hpp"

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

config::InputSpec random_input() {
  config::InputSpec input;
  input.dataset = config::Dataset::random;
  input.count = 9;
  input.shape = {1, 2, 2};
  input.classes = 3;
  return input;
}

TEST_CASE("a description without images to read says what to add") {
  config::InputSpec tiled;
  tiled.tiles = Tiles{{4}, 0.5, Blend::mean};
  for (const config::InputSpec& input : {config::InputSpec{}, tiled}) {
    const auto error = error_of([&] { open_source(input); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "there are no images to work on");
    CHECK(contains(error->hint(), "input: {dataset: digits}"));
  }
}

TEST_CASE("a limit and a normalisation are applied") {
  config::InputSpec input = random_input();
  input.limit = 4;
  const auto plain = open_source(input);
  CHECK(plain->count() == 4);
  input.preprocess = {{1.0F}, {2.0F}};
  const auto normalised = open_source(input);
  std::vector<float> before(4);
  std::vector<float> after(4);
  const std::uint64_t index = 3;
  plain->read({&index, 1}, before, {});
  normalised->read({&index, 1}, after, {});
  CHECK(after[0] == (before[0] - 1.0F) / 2.0F);
}

TEST_CASE("the split of a data set is used and shapes are known without reading") {
  config::InputSpec input;
  input.dataset = config::Dataset::digits;
  input.split = config::Split::train;
  const auto train = open_source(input);
  input.split = config::Split::test;
  CHECK(train->count() + open_source(input)->count() == 1797);
  const config::EnsembleSpec spec;
  CHECK(sample_text(input_form(spec, input).tensors) == "3x32x32");
  CHECK(sample_text(input_form(spec, random_input()).tensors) == "1x2x2");
  CHECK(input_form(spec, random_input()).images == 9);
  CHECK(sample_text(input_form(spec, {}).tensors) == "3x32x32");
  CHECK_FALSE(input_form(spec, {}).images.has_value());
}

/// Two members; the second has its own input if `own` is set.
config::EnsembleSpec spec_of(const config::InputSpec& input, bool own) {
  config::EnsembleSpec spec;
  spec.members.resize(2);
  if (own) spec.members[1].input.emplace();
  spec.input = spec.train_input = input;
  return spec;
}

TEST_CASE("the source normalises if all members see the same and the workers do if one does not") {
  config::InputSpec input = random_input();
  input.preprocess = {{1.0F}, {}};
  const std::uint64_t index = 0;
  std::vector<float> as_said(4);
  open_source(input)->read({&index, 1}, as_said, {});
  std::vector<float> alike(4);
  const auto same = spec_of(input, false);
  CHECK_FALSE(workers_prepare(same, same.input));
  open_source(same, same.input)->read({&index, 1}, alike, {});
  CHECK(alike == as_said);
  std::vector<float> raw(4);
  const auto different = spec_of(input, true);
  CHECK(workers_prepare(different, different.input));
  open_source(different, different.input)->read({&index, 1}, raw, {});
  CHECK(raw[0] - 1.0F == as_said[0]);
}

Dtype type_of(const InputForm& form) { return form.tensors.at(0).layout.dtype; }

TEST_CASE("the arena holds bytes if the source has them and workers prepare them") {
  const std::vector<std::uint8_t> pixels(12);
  const auto bytes = images::make_memory(Images(std::span(pixels), {3, 2, 2}));
  const auto own = spec_of(random_input(), true);
  const auto none = spec_of(random_input(), false);
  CHECK(type_of(form_of(*bytes, own, own.input)) == Dtype::uint8);
  CHECK(type_of(form_of(*bytes, none, none.input)) == Dtype::float32);
  CHECK(type_of(form_of(*open_source(own, own.input), own, own.input)) == Dtype::float32);
  CHECK(input_form(own, own.input).images == 9);
  CHECK(type_of(input_form(own, config::InputSpec{})) == Dtype::float32);
  config::InputSpec folder;
  folder.dataset = config::Dataset::folder;
  CHECK(workers_prepare(none, folder));
}

/// Members that see a folder's pictures squashed, as the folder says, squashed the same way, and as the folder says.
config::EnsembleSpec spec_of_pictures(const std::filesystem::path& folder) {
  config::EnsembleSpec spec;
  spec.members.resize(4);
  spec.members[0].input = MemberInput{{ResizeRule::exact, 6, 4, 0, 0, Interpolation::bilinear}, {}, {}};
  spec.members[2].input = spec.members[0].input;
  spec.members[2].input->resize.crop_height = 6;  // the same in other words
  spec.members[2].input->resize.crop_width = 4;
  spec.members[3].input = MemberInput{{}, {0.5F}, {}};
  spec.input.dataset = config::Dataset::folder;
  spec.input.path = folder;
  spec.input.resize = {ResizeRule::shorter, 9, 9, 8, 8};
  spec.input.shape = {3, 8, 8};
  spec.train_input = spec.input;
  return spec;
}

std::vector<std::uint32_t> planes_by_rank(const config::EnsembleSpec& spec) {
  const std::vector<Plane> planes = planes_of(spec, spec.input);
  std::vector<std::uint32_t> found;
  for (const config::MemberSpec& member : spec.members) found.push_back(plane_of(planes, member, spec.input));
  return found;
}

struct OnePicture : TemporaryFolder {
  OnePicture() { std::filesystem::copy_file(test::in_sources("tests/images/data/encoded/plain.png"), *this / "1.png"); }
};

TEST_CASE("members that agree on resize and crop share a plane of the pictures") {
  const OnePicture folder;
  const auto spec = spec_of_pictures(folder.path());
  CHECK(planes_by_rank(spec) == std::vector<std::uint32_t>{0, 1, 0, 1});
  const InputForm form = input_form(spec, spec.input);
  REQUIRE(form.planes.size() == 2);
  CHECK(form.planes[1].asked == Resize{});
  CHECK(form.planes[1].resize == spec.input.resize);
  CHECK(arrays_of(form) == std::vector<TensorLayout>{{Dtype::uint8, {3, 6, 4}}, {Dtype::uint8, {3, 8, 8}}});
  auto alike = spec;
  for (config::MemberSpec& member : alike.members) member.input.reset();
  CHECK(arrays_of(input_form(alike, alike.input)) == std::vector<TensorLayout>{{Dtype::uint8, {3, 8, 8}}});
  CHECK(planes_of(spec_of(random_input(), true), random_input()).empty());
}

TEST_CASE("whether other images can be in the arrays of an ensemble depends on what each member sees") {
  const OnePicture folder;
  auto spec = spec_of_pictures(folder.path());
  const auto pictures = open_source(spec, spec.input);
  const auto same = [&](const config::InputSpec& other, const Source& source) {
    return same_arrays(spec, {spec.input, *pictures}, {other, source});
  };
  config::InputSpec other = spec.input;
  CHECK(same(other, *pictures));
  other.resize = {ResizeRule::exact, 8, 8};
  CHECK(same(other, *pictures));  // in another way, but to the same shape
  other.resize = {ResizeRule::exact, 8, 9};
  CHECK_FALSE(same(other, *pictures));
  const std::vector<std::uint8_t> bytes(3 * 8 * 8 + 3 * 7 * 7);
  const auto fitting = images::make_memory(Images(std::span(bytes).first(3 * 8 * 8), {3, 8, 8}));
  const auto smaller = images::make_memory(Images(std::span(bytes).first(3 * 7 * 7), {3, 7, 7}));
  config::InputSpec arrays;
  arrays.dataset = config::Dataset::npy;
  CHECK(same(arrays, *fitting));
  CHECK_FALSE(same(arrays, *smaller));
  // Planned for arrays, the workers resize them: pictures would be resized twice.
  CHECK_FALSE(same_arrays(spec, {arrays, *fitting}, {spec.input, *pictures}));
  CHECK(same_arrays(spec_of(arrays, false), {arrays, *fitting}, {spec.input, *pictures}));
  // Two members that see one plane of the first would need two of the other.
  spec.members[1].input = MemberInput{spec.input.resize, {}, {}};
  other.resize = {ResizeRule::exact, 8, 8};
  CHECK_FALSE(same(other, *pictures));
}

TEST_CASE("a source is fitted to the planes of an ensemble or rejected") {
  const OnePicture folder;
  const auto spec = spec_of_pictures(folder.path());
  const InputForm form = input_form(spec, spec.input);
  const ArenaLayout arena{1, 2, arrays_of(form)};
  std::vector<std::uint64_t> memory(arena.bytes() / 8);
  auto* const base = reinterpret_cast<std::byte*>(memory.data());
  const auto pictures = open_source(spec, spec.input);
  FittedSource fitted(*pictures, form);
  CHECK(&fitted.source() == pictures.get());
  const std::uint64_t index = 0;
  read_images(fitted.source(), {&index, 1}, {base, arena, 0}, false);
  for (std::size_t p = 0; p < 2; ++p) {
    config::InputSpec alone = spec.input;
    alone.resize = form.planes[p].resize;
    std::vector<std::uint8_t> wanted(arena.arrays[p].elements());
    open_source(alone)->read_bytes({&index, 1}, wanted, {});
    CHECK(std::ranges::equal(slot_view(base, arena, 0, 1, p).pixels(), wanted));
  }
  const std::vector<std::uint8_t> bytes(3 * 8 * 9, 3);
  const auto fitting = images::make_memory(Images(std::span(bytes).first(3 * 8 * 8), {3, 8, 8}));
  FittedSource made(*fitting, form);
  read_images(made.source(), {&index, 1}, {base, arena, 0}, false);
  CHECK(slot_view(base, arena, 0, 1, 0).pixels()[71] == 3);
  CHECK(slot_view(base, arena, 0, 1, 1).pixels()[191] == 3);
  const auto wide = images::make_memory(Images(std::span(bytes), {3, 8, 9}));
  auto error = error_of([&] { FittedSource(*wide, form); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "memory gives images of 3x8x9, but the ensemble takes 3x8x8");
  CHECK(error->detail() == "its 'input' makes of a picture: shorter side 9, centre 8x8, bicubic");
  CHECK(error->hint() == "give images of this shape, or each member an 'input' with 'resize'");
  const std::vector<float> floats(3 * 8 * 8);
  const auto of_floats = images::make_memory(Images(std::span(floats), {3, 8, 8}));
  error = error_of([&] { FittedSource(*of_floats, form); });
  REQUIRE(error);
  CHECK(error->message() == "memory gives float32, but the ensemble takes images as bytes");
}

TEST_CASE("images through the API need no files unless only these tell the shape") {
  config::InputSpec folder;
  folder.dataset = config::Dataset::folder;
  folder.path = "/nowhere";
  folder.shape = {3, 8, 9};
  const auto spec = spec_of(folder, false);
  const InputForm form = api_form(spec, spec.input);
  CHECK(form.tensors.front().layout == ImageShape{3, 8, 9}.layout(Dtype::uint8));
  CHECK_FALSE(form.images.has_value());
  CHECK(api_form(spec_of(random_input(), false), random_input()).images == 9);
  config::InputSpec npy;
  npy.dataset = config::Dataset::npy;
  npy.images = "/nowhere.npy";
  auto error = error_of([&] { api_form(spec_of(npy, false), npy); });
  REQUIRE(error);
  CHECK(error->message() == "cannot read /nowhere.npy");
  CHECK(error->hint() ==
        "the shape of the images is in this file; if they come through the API, give the shape instead: input={shape: "
        "[3, 224, 224]}");
  npy.tiles = Tiles{{512}, 0.5, Blend::mean};
  error = error_of([&] { api_form(spec_of(npy, false), npy); });
  REQUIRE(error);
  CHECK(error->hint() ==
        "the shapes of the inputs are in this file; if they come through the API, give their channels and the size of "
        "a tile instead: input={shape: [3, 512, 512], tiles: {size: 512}}");
}

TEST_CASE("skip beyond the images is an error") {
  config::InputSpec input = random_input();
  input.skip = 9;
  const auto error = error_of([&] { open_source(input); });
  REQUIRE(error);
  CHECK(error->message() == "'skip: 9' leaves no images");
  CHECK(error->hint() == "make 'skip' smaller");
  input.skip = 8;
  CHECK(open_source(input)->count() == 1);
}

TEST_CASE("an arena of bytes cannot hold float32 and both arenas can hold bytes") {
  const std::vector<std::uint8_t> bytes(12);
  const std::vector<float> floats(12);
  const auto of_bytes = images::make_memory(Images(std::span(bytes), {3, 2, 2}));
  const auto of_floats = images::make_memory(Images(std::span(floats), {3, 2, 2}));
  const InputForm as_floats{{3, 2, 2}, {}};
  const InputForm as_bytes{{3, 2, 2}, {}, Dtype::uint8};
  check_fits(*of_bytes, as_floats);
  check_fits(*of_bytes, as_bytes);
  check_fits(*of_floats, as_floats);
  const auto error = error_of([&] { check_fits(*of_floats, as_bytes); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "memory gives float32, but the ensemble takes images as bytes");
  CHECK(error->detail() == "its 'input' has bytes, from which each worker prepares its member's images");
  CHECK(error->hint() == "give uint8, 0 to 255; an ensemble whose 'input' does not name a data set takes both");
}

TEST_CASE("training and test images must be prepared alike if workers prepare them") {
  auto spec = spec_of(random_input(), true);
  const auto source = open_source(spec, spec.input);
  check_same_preparation(spec, *source, *source);
  spec.train_input.preprocess.mean = {0.5F};
  const auto error = error_of([&] { check_same_preparation(spec, *source, *source); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the training images and the test images would be prepared differently");
  CHECK(error->detail() == "random (float32) and random (float32); the workers prepare both as 'train.input' says");
  CHECK(contains(error->hint(), "the same 'preprocess'"));
  const OnePicture folder;
  auto pictures = spec_of_pictures(folder.path());
  const auto opened = open_source(pictures, pictures.input);
  check_same_preparation(pictures, *opened, *opened);
  pictures.train_input.resize.crop_height = 7;
  CHECK(error_of([&] { check_same_preparation(pictures, *opened, *opened); }));
  spec.members[1].input.reset();  // each source prepares its own images
  check_same_preparation(spec, *source, *source);
}

TEST_CASE("a slot is filled as its arena holds images") {
  const std::vector<std::uint8_t> pixels{0, 51, 255, 3};
  const std::array<std::int64_t, 2> labels{4, 5};
  const auto source = images::make_memory(Images(std::span(pixels), {1, 1, 2}), labels);
  for (const Dtype type : {Dtype::uint8, Dtype::float32}) {
    const ArenaLayout arena{1, 2, {1, 1, 2}, type};
    std::vector<std::uint64_t> memory(arena.bytes() / 8);
    const auto slot = slot_view(reinterpret_cast<std::byte*>(memory.data()), arena, 0, 2);
    const std::array<std::uint64_t, 2> indices{1, 0};
    read_images(*source, indices, {reinterpret_cast<std::byte*>(memory.data()), arena, 0}, true);
    CHECK(slot.labels[0] == 5);
    if (type == Dtype::uint8)
      CHECK(std::vector(slot.pixels().begin(), slot.pixels().end()) == std::vector<std::uint8_t>{255, 3, 0, 51});
    else
      CHECK(std::vector(slot.floats().begin(), slot.floats().end()) == std::vector<float>{1.0F, 3 / 255.0F, 0, 0.2F});
  }
}

}  // namespace
}  // namespace tutti::test
