// Tests of the sources around a source.
#include <doctest/doctest.h>

#include <array>
#include <limits>

#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/images/reading.hpp"

namespace tutti::images {
namespace {

using test::error_of;

constexpr ImageShape kShape{2, 1, 2};
constexpr std::array kPixels{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F, 7.0F, 8.0F};
constexpr std::array<std::int64_t, 2> kLabels{1, 0};

std::unique_ptr<Source> two_images() { return make_memory(Images(kPixels, kShape), kLabels); }

TEST_CASE("a limited source is the first images of the one behind it") {
  const auto source = limited(make_digits(Split::test), 7);
  CHECK(source->count() == 7);
  CHECK(source->name() == "digits (test), limited to 7");
  CHECK(source->classes() == 10);
  CHECK(source->labelled());
  CHECK(test::read(*source, {6}).pixels == test::read(*make_digits(Split::test), {6}).pixels);
}

TEST_CASE("a limit above the number of images changes nothing and a limit of 0 leaves none") {
  CHECK(limited(two_images(), 3)->count() == 2);
  CHECK(limited(two_images(), 3)->name() == "memory");
  CHECK(limited(two_images(), 1)->count() == 1);
  CHECK(limited(two_images(), 0)->count() == 0);
}

TEST_CASE("a source without its first images is the rest and with a limit the two parts are the whole") {
  const auto rest = without_first(make_digits(Split::train), 1200);
  CHECK(rest->count() == 237);
  CHECK(rest->name() == "digits (train), without the first 1200");
  CHECK(rest->classes() == 10);
  CHECK(rest->labelled());
  CHECK(rest->shape() == ImageShape{3, 32, 32});
  const auto all = make_digits(Split::train);
  CHECK(test::read(*rest, {2, 0}).pixels == test::read(*all, {1202, 1200}).pixels);
  CHECK(test::read(*rest, {236}).labels == test::read(*all, {1436}).labels);
  const auto three = limited(without_first(make_digits(Split::train), 1200), 3);
  CHECK(test::read(*three, {2}).pixels == test::read(*all, {1202}).pixels);
  CHECK(three->number_of(2) == 1202);  // what a resumed run keeps
  CHECK(without_first(two_images(), 2)->count() == 0);
  CHECK(without_first(two_images(), 9)->count() == 0);
}

TEST_CASE("each channel is normalised with its own mean and deviation") {
  const auto source = normalised(two_images(), std::array{1.0F, 3.0F}, std::array{2.0F, 0.5F});
  const auto images = test::read(*source, {1, 0});
  CHECK(images.pixels == std::vector{2.0F, 2.5F, 8.0F, 10.0F, 0.0F, 0.5F, 0.0F, 2.0F});
  CHECK(images.labels == std::vector<std::int64_t>{0, 1});
  CHECK(source->shape() == kShape);
  CHECK(source->name() == "memory");
}

TEST_CASE("what is limited keeps its bytes and what is normalised has none") {
  static constexpr std::array<std::uint8_t, 8> bytes{1, 2, 3, 4, 5, 6, 7, 8};
  const auto source = [] { return make_memory(Images(std::span<const std::uint8_t>(bytes), {2, 1, 2})); };
  CHECK(test::bytes_are_the_floats(*limited(source(), 1), {0}));
  CHECK_FALSE(normalised(source(), std::array{1.0F}, {})->has_bytes());
}

TEST_CASE("one mean or deviation holds for all channels and none leaves the step out") {
  CHECK(test::read(*normalised(two_images(), std::array{1.0F}, {}), {0}).pixels == std::vector{0.0F, 1.0F, 2.0F, 3.0F});
  CHECK(test::read(*normalised(two_images(), {}, std::array{2.0F}), {0}).pixels == std::vector{0.5F, 1.0F, 1.5F, 2.0F});
}

TEST_CASE("a mean or deviation of another length is an error that says how many channels there are") {
  const auto mean = error_of([] { normalised(two_images(), std::array{1.0F, 2.0F, 3.0F}, {}); });
  REQUIRE(mean);
  CHECK(mean->kind() == ErrorKind::usage);
  CHECK(mean->message() == "preprocess: mean has 3 values");
  CHECK(mean->detail() == "memory has 2 channels");
  CHECK(mean->hint() == "give 2 values, or one for all channels");
  const auto std = error_of([] { normalised(two_images(), {}, std::array{1.0F, 2.0F, 3.0F}); });
  REQUIRE(std);
  CHECK(std->message() == "preprocess: std has 3 values");
}

TEST_CASE("a mean or deviation that cannot be is an error") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(error_of([&] { normalised(two_images(), std::array{infinity}, {}); })->message() ==
        "preprocess: mean must be finite, and inf is not");
  for (const float wrong : {0.0F, -1.0F, infinity, std::numeric_limits<float>::quiet_NaN()}) {
    const auto error = error_of([&] { normalised(two_images(), {}, std::array{wrong}); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message().starts_with("preprocess: std must be above 0 and finite, and "));
  }
}

TEST_CASE("classes take other names and if labels are given other labels") {
  const auto named = with_classes(two_images(), {"a", "b", "c"}, {});
  CHECK(named->class_name(1) == "b");
  CHECK(named->class_name(3).empty());
  CHECK(named->classes() == 2);
  CHECK(test::read(*named, {0, 1}).labels == std::vector<std::int64_t>{1, 0});
  const auto other = with_classes(two_images(), {"a", "b", "c"}, {2, 0});
  CHECK(other->classes() == 3);
  CHECK(test::read(*other, {0, 1}).labels == std::vector<std::int64_t>{0, 2});
  CHECK(test::read(*other, {1}).pixels == test::read(*two_images(), {1}).pixels);
}

TEST_CASE("sources around a source of tensors pass its tensors on") {
  const std::array<std::int64_t, 6> ids{0, 1, 2, 3, 4, 5};
  const std::array<std::int64_t, 3> classes{0, 1, 0};
  const auto source = with_classes(
      without_first(limited(make_memory(Samples{{"ids", std::span(ids), {2}}}, classes), 2), 1), {"b", "a"}, {1, 0});
  CHECK(source->count() == 1);
  CHECK(source->tensors() == std::vector<NamedLayout>{{"ids", {Dtype::int64, {2}}}});
  const auto read = test::read_samples(*source, {0});
  CHECK(read.values<std::int64_t>(0) == std::vector<std::int64_t>{2, 3});
  CHECK(read.labels == std::vector<std::int64_t>{0});
}

TEST_CASE("images can be read as their only tensor which is float32 once they are normalised") {
  const std::vector<std::uint8_t> bytes{0, 255};
  const auto source = make_memory(Images(std::span(bytes), {1, 1, 2}));
  CHECK(source->tensors() == std::vector<NamedLayout>{{"image", {Dtype::uint8, {1, 1, 2}}}});
  CHECK(test::read_samples(*source, {0}).values<std::uint8_t>(0) == bytes);
  const std::array mean{0.5F};
  const auto changed = normalised(make_memory(Images(std::span(bytes), {1, 1, 2})), mean, {});
  CHECK(changed->tensors() == std::vector<NamedLayout>{{"image", {Dtype::float32, {1, 1, 2}}}});
  CHECK(test::read_samples(*changed, {0}).values<float>(0) == std::vector<float>{-0.5F, 0.5F});
}

}  // namespace
}  // namespace tutti::images
