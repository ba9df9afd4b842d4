// Tests of images in memory.
#include <doctest/doctest.h>

#include <array>

#include "common/tensor_text.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/images/reading.hpp"

namespace tutti::images {
namespace {

using test::error_of;

constexpr ImageShape kMemoryShape{1, 1, 2};
constexpr std::array kFloats{0.5F, -1.0F, 2.0F, 3.0F, 4.0F, 5.0F};
constexpr std::array<std::uint8_t, 4> kBytes{0, 255, 51, 102};
constexpr std::array<std::int64_t, 3> kMemoryLabels{1, 0, 3};

TEST_CASE("float32 images in memory are read as they are with their labels") {
  const auto source = make_memory(Images(kFloats, kMemoryShape), kMemoryLabels);
  CHECK(source->name() == "memory");
  CHECK(source->count() == 3);
  CHECK(source->shape() == kMemoryShape);
  CHECK(source->classes() == 4);
  CHECK(source->labelled());
  CHECK(test::read(*source, {2, 0}).pixels == std::vector{4.0F, 5.0F, 0.5F, -1.0F});
  CHECK(test::read(*source, {2, 0}).labels == std::vector<std::int64_t>{3, 1});
  CHECK(test::any_order_gives_the_same(*source));
}

TEST_CASE("uint8 images in memory become float32 from 0 to 1") {
  const auto source = make_memory(Images(kBytes, kMemoryShape));
  CHECK_FALSE(source->labelled());
  CHECK(source->classes() == 0);
  CHECK(test::read(*source, {0, 1}).pixels == std::vector{0.0F, 1.0F, 51.0F / 255.0F, 102.0F / 255.0F});
  CHECK(test::bytes_are_the_floats(*source, {1, 0, 1}));
}

TEST_CASE("a source of float32 has no bytes and no names") {
  const auto source = make_memory(Images(kFloats, kMemoryShape), kMemoryLabels);
  CHECK_FALSE(source->has_bytes());
  const auto error = error_of([&] { source->Source::read_bytes({}, {}, {}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "memory has no bytes to give");
  CHECK(error->hint() == "ask has_bytes() first");
  CHECK(source->image_name(0).empty());
  CHECK(source->class_name(0).empty());
  CHECK(source->skipped().empty());
}

TEST_CASE("encoded pictures in memory have no pixels before they are decoded") {
  const std::vector<std::vector<std::uint8_t>> files{{1, 2}, {3}};
  const auto source = make_memory(EncodedImages(files));
  CHECK(source->count() == 2);
  CHECK(source->shape() == ImageShape{});
  CHECK(source->tensors().empty());
  auto error = error_of([&] { source->read({}, {}, {}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "memory has encoded pictures and no pixels");
  CHECK(error->hint() == "read them with encoded()");
  auto& encoded = dynamic_cast<EncodedSource&>(*source);
  std::vector<std::byte> room;
  CHECK(encoded.encoded(0, room).size() == 2);
  CHECK(encoded.encoded(1, room).front() == std::byte{3});
  error = error_of([&] { encoded.label(0); });
  REQUIRE(error);
  CHECK(error->message() == "memory has no labels to give");
  CHECK(error->hint() == "ask labelled() first");
  CHECK(make_memory(EncodedImages())->count() == 0);
}

TEST_CASE("no images in memory are a set of none") {
  CHECK(make_memory(Images())->count() == 0);
  CHECK(make_memory(Images(std::span<const float>(), kMemoryShape))->count() == 0);
}

TEST_CASE("a part of an image in memory is an error") {
  const auto error = error_of([] { make_memory(Images(std::span(kFloats).first(5), kMemoryShape)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the images in memory are not whole");
  CHECK(error->detail() == "5 values given, and an image of shape 1x1x2 has 2");
}

TEST_CASE("images in memory without extent are an error") {
  const auto error = error_of([] { make_memory(Images(kFloats, ImageShape{3, 0, 2})); });
  REQUIRE(error);
  CHECK(error->message() == "images in memory need a shape without zeros");
  CHECK(error->detail() == "6 values of shape 3x0x2 given");
}

TEST_CASE("labels in memory that do not fit are an error") {
  const auto few = error_of([] { make_memory(Images(kBytes, kMemoryShape), kMemoryLabels); });
  REQUIRE(few);
  CHECK(few->kind() == ErrorKind::usage);
  CHECK(few->message() == "images and labels in memory differ in number");
  CHECK(few->detail() == "2 images with 3 labels");
  for (const std::int64_t wrong : {std::int64_t{-2}, std::int64_t{1} << 40}) {
    const std::array labels{std::int64_t{0}, wrong};
    const auto error = error_of([&] { make_memory(Images(kBytes, kMemoryShape), labels); });
    REQUIRE(error);
    CHECK(error->message() == "a label in memory is not a class");
    CHECK(error->detail() == "image 1 has the label " + std::to_string(wrong));
    CHECK(error->hint() == "number the classes from 0");
  }
}

constexpr std::array<std::int64_t, 4> kIds{1, -2, 3, 4};
constexpr std::array<bool, 2> kTruths{true, false};

TEST_CASE("tensors in memory are read by their places") {
  const Samples samples{{"x", std::span(kFloats), {1, 3}},
                        {"ids", std::span(kIds), {2}},
                        {"truth", std::span(kTruths), {}},
                        {{"byte", {Dtype::uint8, {1}}}, std::as_bytes(std::span(kTruths))}};
  CHECK(samples.count() == 2);
  const std::array<std::int64_t, 2> labels{3, 1};
  const auto source = make_memory(samples, labels);
  CHECK(source->count() == 2);
  CHECK(source->classes() == 4);
  CHECK(sample_text(source->tensors()) ==
        "x (1x3 of float32), ids (2 of int64), truth (a number of bool) and byte (1 of uint8)");
  const auto read = test::read_samples(*source, {1, 0, 1});
  CHECK(read.values<std::int64_t>(1) == std::vector<std::int64_t>{3, 4, 1, -2, 3, 4});
  CHECK(read.values<std::uint8_t>(2) == std::vector<std::uint8_t>{0, 1, 0});
  CHECK(read.values<float>(0)[0] == kFloats[3]);
  CHECK(read.labels == std::vector<std::int64_t>{1, 3, 1});
}

TEST_CASE("tensors in memory that are not whole or not as many are an error") {
  const auto refusal = [](const Samples& samples) {
    const auto error = error_of([&] { make_memory(samples); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return error->message() + "; " + error->detail();
  };
  CHECK(refusal({}) == "samples in memory need a tensor; ");
  CHECK(refusal({{"ids", std::span(kIds), {3}}}) ==
        "the samples of 'ids' in memory are not whole; 32 bytes given, and a sample (3 of int64) has 24");
  CHECK(refusal({{"ids", std::span(kIds), {2}}, {"truth", std::span(kTruths).first(1), {}}}) ==
        "the tensors in memory differ in their number of samples; 'ids' has 2, and 'truth' has 1");
  CHECK(refusal({{"ids", std::span(kIds), {2, 0}}}) == "the tensor 'ids' in memory has no usable shape; 2x0 of int64");
  CHECK(refusal({{"ids", std::span(kIds), {1, 1, 1, 1, 1, 1}}}) ==
        "the tensor 'ids' in memory has no usable shape; 1x1x1x1x1x1 of int64");
}

}  // namespace
}  // namespace tutti::images
