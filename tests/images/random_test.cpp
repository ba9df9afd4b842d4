// Tests of random images: every value depends only on seed, image and place.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/images/reading.hpp"

namespace tutti::images {
namespace {

constexpr ImageShape kShape{2, 3, 5};

TEST_CASE("random images are the same in any order and for the same seed") {
  const auto source = make_random(50, kShape, 7, 3);
  CHECK(source->name() == "random");
  CHECK(source->count() == 50);
  CHECK(source->shape() == kShape);
  CHECK(source->classes() == 7);
  CHECK(test::any_order_gives_the_same(*source));
  const auto again = test::read(*make_random(60, kShape, 7, 3), test::all_of(*source));
  CHECK(again.pixels == test::read(*source, test::all_of(*source)).pixels);
}

// The values themselves are fixed: results of a run on random images must not change with a release.
TEST_CASE("random images keep their values") {
  const auto image = test::read(*make_random(2, kShape, 10, 42), {1});
  CHECK(image.pixels[0] == 4082194 * 0x1p-24F);
  CHECK(image.pixels[29] == 9965519 * 0x1p-24F);
  CHECK(image.labels[0] == 2);
}

TEST_CASE("random images may be bytes") {
  const auto source = make_random_bytes(9, kShape, 3);
  CHECK(source->has_bytes());
  CHECK_FALSE(source->labelled());
  CHECK(test::bytes_are_the_floats(*source, {1, 0, 8}));
  CHECK(test::any_order_gives_the_same(*source));
}

TEST_CASE("random images differ by seed and by image") {
  const auto a = test::read(*make_random(2, kShape, 7, 3), {0, 1}).pixels;
  const auto b = test::read(*make_random(2, kShape, 7, 4), {0, 1}).pixels;
  std::set<float> distinct(a.begin(), a.end());
  distinct.insert(b.begin(), b.end());
  CHECK(distinct.size() > 115);  // of 120: two of 24 bits may coincide
}

TEST_CASE("random values fill the range from 0 to 1 evenly and labels all classes") {
  const auto source = make_random(2000, kShape, 7, 0);
  const auto images = test::read(*source, test::all_of(*source));
  double sum = 0.0;
  for (const float value : images.pixels) {
    CHECK_UNARY(value >= 0.0F && value < 1.0F);
    sum += value;
  }
  // 60000 values: the mean is within 0.5 +- 5 * 0.289 / sqrt(60000).
  CHECK(sum / 60000 == doctest::Approx(0.5).epsilon(0.012));
  for (std::int64_t label = 0; label < 7; ++label) {
    // 2000 / 7 = 286 with a deviation of 16.
    const auto of_class = std::ranges::count(images.labels, label);
    CHECK(of_class > 200);
    CHECK(of_class < 370);
  }
  CHECK(*std::ranges::min_element(images.labels) == 0);
  CHECK(*std::ranges::max_element(images.labels) == 6);
}

TEST_CASE("random images without classes have no labels") {
  const auto source = make_random(3, kShape, 0, 0);
  CHECK_FALSE(source->labelled());
  CHECK(test::read(*source, {2}).labels.empty());
}

TEST_CASE("no random images and one random image are sets too") {
  CHECK(make_random(0, kShape, 7, 0)->count() == 0);
  CHECK(test::read(*make_random(1, kShape, 7, 0), {0}).labels.size() == 1);
}

TEST_CASE("a random set larger than any memory costs nothing until it is read") {
  const auto source = make_random(std::uint64_t{1} << 60, kShape, 7, 0);
  CHECK(test::read(*source, {(std::uint64_t{1} << 60) - 1}).pixels.size() == 30);
}

TEST_CASE("a random image without extent is an error") {
  const auto error = test::error_of([] { make_random(3, {3, 0, 32}, 10, 0); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "random images need a shape without zeros");
  CHECK(error->detail() == "the shape is 3x0x32");
  CHECK(error->hint() == "write it as channels, height and width, for example [3, 32, 32]");
}

TEST_CASE("random tensors depend only on seed and sample and place and their labels are those of random images") {
  const std::vector<NamedLayout> tensors{{"x", {Dtype::float32, {3, 50}}},
                                         {"ids", {Dtype::int64, {100}}},
                                         {"bytes", {Dtype::uint8, {200}}},
                                         {"truth", {Dtype::boolean, {}}}};
  const auto source = make_random(20, tensors, 7, 3);
  CHECK(source->tensors() == tensors);
  CHECK(source->count() == 20);
  CHECK(source->labelled());
  const auto all = test::read_samples(*source, {4, 17});
  const auto again = test::read_samples(*make_random(30, tensors, 7, 3), {17, 4});
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const std::size_t bytes = tensors[t].layout.bytes();
    CHECK(std::equal(all.tensors[t].begin(), all.tensors[t].begin() + std::ptrdiff_t(bytes),
                     again.tensors[t].begin() + std::ptrdiff_t(bytes)));
  }
  CHECK(all.labels == test::read(*make_random(20, kShape, 7, 3), {4, 17}).labels);
  for (const float value : all.values<float>(0)) CHECK((value >= 0 && value < 1));
  for (const std::int64_t id : all.values<std::int64_t>(1)) CHECK((id == 0 || id == 1));
  const auto bytes = all.values<std::uint8_t>(2);
  CHECK(*std::ranges::max_element(bytes) > 200);
  CHECK(all.values<float>(0) != test::read_samples(*make_random(20, tensors, 7, 4), {4, 17}).values<float>(0));
}

}  // namespace
}  // namespace tutti::images
