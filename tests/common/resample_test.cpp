// Images are resized as Pillow does; the references are its results, see data/make_resample.py.
#include "common/resample.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "common/checksum.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

using R = ResizeRule;
using I = Interpolation;

struct Case {
  std::uint32_t height;
  std::uint32_t width;
  Resize resize;
  std::uint32_t to_height;
  std::uint32_t to_width;
  std::uint32_t bytes_crc;  ///< of Pillow's result for bytes
  double floats_sum;        ///< of its result for float32: each value times (place % 7 - 3), summed
};

// clang-format off
constexpr std::array kCases = std::to_array<Case>({
    {7, 5, {R::exact, 3, 4, 0, 0, I::nearest}, 3, 4, 0x388864ae, -1108.000},
    {7, 5, {R::exact, 3, 4, 0, 0, I::bilinear}, 3, 4, 0x75a5a831, -768.230},
    {7, 5, {R::exact, 3, 4, 0, 0, I::bicubic}, 3, 4, 0xb5661fec, -863.646},
    {7, 5, {R::exact, 16, 19, 0, 0, I::nearest}, 16, 19, 0x2c75825e, -1429.000},
    {7, 5, {R::exact, 16, 19, 0, 0, I::bilinear}, 16, 19, 0x7a9361c1, -252.788},
    {7, 5, {R::exact, 16, 19, 0, 0, I::bicubic}, 16, 19, 0x6d6ee08f, -122.072},
    {7, 5, {R::exact, 7, 9, 0, 0, I::nearest}, 7, 9, 0xc6e426a3, -942.000},
    {7, 5, {R::exact, 7, 9, 0, 0, I::bilinear}, 7, 9, 0x4f29ae99, -606.667},
    {7, 5, {R::exact, 7, 9, 0, 0, I::bicubic}, 7, 9, 0xac016888, -714.718},
    {7, 5, {R::exact, 20, 5, 0, 0, I::nearest}, 20, 5, 0x7d94ee21, -907.000},
    {7, 5, {R::exact, 20, 5, 0, 0, I::bilinear}, 20, 5, 0x70b1dfc9, -874.850},
    {7, 5, {R::exact, 20, 5, 0, 0, I::bicubic}, 20, 5, 0x777d2efc, -668.966},
    {1, 1, {R::exact, 4, 3, 0, 0, I::nearest}, 4, 3, 0xab460bae, 48.000},
    {1, 1, {R::exact, 4, 3, 0, 0, I::bilinear}, 4, 3, 0xab460bae, 48.000},
    {1, 1, {R::exact, 4, 3, 0, 0, I::bicubic}, 4, 3, 0xab460bae, 48.000},
    {64, 48, {R::exact, 1, 1, 0, 0, I::nearest}, 1, 1, 0x8291e4a0, -1049.000},
    {64, 48, {R::exact, 1, 1, 0, 0, I::bilinear}, 1, 1, 0xbe8a8358, -771.480},
    {64, 48, {R::exact, 1, 1, 0, 0, I::bicubic}, 1, 1, 0xbe8a8358, -771.481},
    {375, 500, {R::shorter, 224, 224, 224, 224, I::nearest}, 224, 224, 0x8ba88c3c, -66123.000},
    {375, 500, {R::shorter, 224, 224, 224, 224, I::bilinear}, 224, 224, 0x1bddd077, -6118.755},
    {375, 500, {R::shorter, 224, 224, 224, 224, I::bicubic}, 224, 224, 0xdb09f35d, -3379.712},
    {500, 333, {R::shorter, 224, 224, 224, 224, I::nearest}, 224, 224, 0x905dee89, -7148.000},
    {500, 333, {R::shorter, 224, 224, 224, 224, I::bilinear}, 224, 224, 0xc8d41dc5, -30286.115},
    {500, 333, {R::shorter, 224, 224, 224, 224, I::bicubic}, 224, 224, 0x10325391, -29866.009},
    {333, 500, {R::shorter, 90, 90, 77, 78, I::nearest}, 77, 78, 0xc582050d, 34244.000},
    {333, 500, {R::shorter, 90, 90, 77, 78, I::bilinear}, 77, 78, 0x99667d46, 4300.180},
    {333, 500, {R::shorter, 90, 90, 77, 78, I::bicubic}, 77, 78, 0xcc6fe32b, 4788.075},
    {31, 517, {R::shorter, 17, 17, 0, 0, I::nearest}, 17, 283, 0x50471436, 5981.000},
    {31, 517, {R::shorter, 17, 17, 0, 0, I::bilinear}, 17, 283, 0x68e68123, 671.873},
    {31, 517, {R::shorter, 17, 17, 0, 0, I::bicubic}, 17, 283, 0xfe4f5153, 1435.790},
    {32, 32, {R::shorter, 224, 224, 224, 224, I::nearest}, 224, 224, 0xeba6441a, 0.000},
    {32, 32, {R::shorter, 224, 224, 224, 224, I::bilinear}, 224, 224, 0x6b34539a, 13440.000},
    {32, 32, {R::shorter, 224, 224, 224, 224, I::bicubic}, 224, 224, 0xf7cb8404, 18672.811},
    {20, 30, {R::shorter, 9, 9, 12, 11, I::nearest, CropRounding::floor}, 12, 11, 0xb5a623e1, 2221.000},
    {20, 30, {R::shorter, 9, 9, 12, 11, I::bilinear, CropRounding::floor}, 12, 11, 0x1dfe51ea, 673.678},
    {20, 30, {R::shorter, 9, 9, 12, 11, I::bicubic, CropRounding::floor}, 12, 11, 0x0caa5088, 971.704},
    {20, 30, {R::none, 0, 0, 7, 41, I::nearest, CropRounding::floor}, 7, 41, 0xc86f918a, 2907.000},
    {20, 30, {R::none, 0, 0, 7, 41, I::bilinear, CropRounding::floor}, 7, 41, 0xc86f918a, 2907.000},
    {20, 30, {R::none, 0, 0, 7, 41, I::bicubic, CropRounding::floor}, 7, 41, 0xc86f918a, 2907.000},
});
// clang-format on

/// The same bytes as pixels() of make_resample.py.
std::uint8_t pixel(std::uint32_t channel, std::uint32_t y, std::uint32_t x) {
  std::uint32_t mixed = (x * 2654435761U) ^ (y * 2246822519U) ^ (channel * 3266489917U);
  mixed ^= mixed >> 15;
  mixed *= 2246822519U;
  return static_cast<std::uint8_t>(mixed >> 24);
}

template <class Value>
std::vector<Value> made_image(const ImageShape& shape) {
  std::vector<Value> image;
  for (std::uint32_t channel = 0; channel < shape.channels; ++channel)
    for (std::uint32_t y = 0; y < shape.height; ++y)
      for (std::uint32_t x = 0; x < shape.width; ++x) image.push_back(static_cast<Value>(pixel(channel, y, x)));
  return image;
}

template <class Value>
std::vector<Value> resized(const Resize& resize, const ImageShape& from, const std::vector<Value>& image) {
  Resampler resampler(resize, from);
  std::vector<Value> out(resampler.shape().elements(), Value{77});
  resampler.apply(std::span<const Value>(image), std::span<Value>(out));
  return out;
}

TEST_CASE("a small image becomes what Pillow makes of it") {
  const std::vector<std::uint8_t> image{0, 50, 100, 255, 255, 10, 20, 30, 5, 200, 90, 7, 1, 2, 3, 4};
  const auto to = [&](I filter) { return resized({R::exact, 2, 3, 0, 0, filter}, {1, 4, 4}, image); };
  CHECK(to(I::nearest) == std::vector<std::uint8_t>{255, 20, 30, 1, 3, 4});
  CHECK(to(I::bilinear) == std::vector<std::uint8_t>{93, 59, 106, 53, 66, 19});
  CHECK(to(I::bicubic) == std::vector<std::uint8_t>{100, 54, 116, 50, 71, 7});
}

TEST_CASE("a centre crop is rounded as torchvision or transformers round it") {
  const auto first_kept = [](std::uint32_t size, std::uint32_t crop, CropRounding rounding) {
    std::vector<std::uint8_t> places(size);
    for (std::uint32_t i = 0; i < size; ++i) places[i] = static_cast<std::uint8_t>(i + 1);
    const auto kept = resized({R::none, 0, 0, 1, crop, I::nearest, rounding}, {1, 1, size}, places);
    // Zeros before the image count backwards.
    const auto zeros = std::find_if(kept.begin(), kept.end(), [](std::uint8_t value) { return value != 0; });
    return kept.front() != 0 ? kept.front() - 1 : static_cast<int>(kept.begin() - zeros);
  };
  // Python's round((size - crop) / 2), and (size - crop) // 2.
  const std::array even{0, 0, 1, 2, 2, 2, 3, 4};
  for (std::uint32_t more = 0; more < 8; ++more) {
    CHECK(first_kept(5 + more, 5, CropRounding::half_even) == even[more]);
    CHECK(first_kept(5 + more, 5, CropRounding::floor) == static_cast<int>(more / 2));
  }
  // torchvision.transforms.functional.center_crop pads (crop - size) // 2 before the image.
  CHECK(first_kept(4, 7, CropRounding::half_even) == -1);
  CHECK(first_kept(4, 7, CropRounding::floor) == -2);
}

TEST_CASE("what a member leaves open of a picture is as the data set says") {
  const Resize common{R::shorter, 256, 256, 224, 224, I::bilinear, CropRounding::floor};
  const Resize squash{R::exact, 64, 64, 0, 0, I::bilinear};
  CHECK(resize_of_picture({}, common) == common);
  CHECK(resize_of_picture(squash, common) == squash);
  CHECK(resize_of_picture({R::none, 0, 0, 112, 112}, common) == Resize{R::shorter, 256, 256, 112, 112, I::bilinear});
  CHECK(resize_of_picture({R::shorter, 9, 9}, common) == Resize{R::shorter, 9, 9, 9, 9});
  // The same in every spelling, so that members share a plane.
  CHECK(resize_of_picture({R::exact, 64, 64, 64, 64, I::bilinear, CropRounding::floor}, common) == squash);
  CHECK(fixed_shape(common) == ImageShape{3, 224, 224});
  CHECK(fixed_shape(squash) == ImageShape{3, 64, 64});
  CHECK(error_of([] {
          fixed_shape({R::shorter, 8, 8});
        })->message() == "the images of a folder differ in size, and need a crop to get the same size");
  CHECK(to_text(common) == "shorter side 256, centre 224x224 (rounding floor), bilinear");
  CHECK(to_text(squash) == "64x64, bilinear");
  CHECK(to_text(Resize{}) == "as they are");
}

TEST_CASE("bytes are those of Pillow for every rule and filter and crop") {
  for (const Case& one : kCases) {
    CAPTURE(one.height);
    CAPTURE(one.width);
    CAPTURE(to_name(one.resize.rule));
    CAPTURE(to_name(one.resize.interpolation));
    const ImageShape from{3, one.height, one.width};
    CHECK(resized_shape(one.resize, from) == ImageShape{3, one.to_height, one.to_width});
    const auto answer = resized(one.resize, from, made_image<std::uint8_t>(from));
    CHECK(crc32(std::as_bytes(std::span(answer))) == one.bytes_crc);
  }
}

TEST_CASE("float32 is what Pillow makes of it but for the last digits") {
  for (const Case& one : kCases) {
    CAPTURE(one.height);
    CAPTURE(one.width);
    CAPTURE(to_name(one.resize.rule));
    CAPTURE(to_name(one.resize.interpolation));
    const ImageShape from{3, one.height, one.width};
    const auto answer = resized(one.resize, from, made_image<float>(from));
    double sum = 0;
    for (std::size_t place = 0; place < answer.size(); ++place)
      sum += static_cast<double>(answer[place]) * (static_cast<double>(place % 7) - 3);
    CHECK(std::abs(sum - one.floats_sum) < 0.01 + 1e-6 * 255 * std::sqrt(static_cast<double>(answer.size())) * 3);
  }
}

TEST_CASE("an image whose pixels lie together becomes the same planes") {
  for (const Case& one : kCases) {
    CAPTURE(one.height);
    CAPTURE(one.width);
    CAPTURE(to_name(one.resize.rule));
    CAPTURE(to_name(one.resize.interpolation));
    const ImageShape from{3, one.height, one.width};
    std::vector<std::uint8_t> image;
    for (std::uint32_t y = 0; y < from.height; ++y)
      for (std::uint32_t x = 0; x < from.width; ++x)
        for (std::uint32_t channel = 0; channel < 3; ++channel) image.push_back(pixel(channel, y, x));
    Resampler resampler(one.resize, from);
    std::vector<std::uint8_t> out(resampler.shape().elements(), 77);
    resampler.apply_interleaved(image, out);
    CHECK(crc32(std::as_bytes(std::span(out))) == one.bytes_crc);
  }
}

TEST_CASE("a resampler gives the same result whatever it computed before") {
  const ImageShape from{2, 40, 37};
  const Resize resize{R::shorter, 19, 19, 18, 30, I::bicubic};
  const auto image = made_image<std::uint8_t>(from);
  const std::vector<std::uint8_t> black(image.size(), 0);
  Resampler resampler(resize, from);
  std::vector<std::uint8_t> first(resampler.shape().elements(), 1);
  std::vector<std::uint8_t> again = first;
  std::vector<std::uint8_t> other = first;
  resampler.apply(std::span<const std::uint8_t>(image), std::span<std::uint8_t>(first));
  resampler.apply(std::span<const std::uint8_t>(black), std::span<std::uint8_t>(other));
  const std::vector<float> floats(image.size(), 0.25F);
  std::vector<float> between(other.size());
  resampler.apply(std::span<const float>(floats), std::span<float>(between));
  resampler.apply(std::span<const std::uint8_t>(image), std::span<std::uint8_t>(again));
  CHECK(first == again);
  CHECK(other == std::vector<std::uint8_t>(other.size(), 0));
  CHECK(first == resized(resize, from, image));
}

TEST_CASE("an image that is neither resized nor cropped stays as it is") {
  const ImageShape from{3, 5, 6};
  const auto image = made_image<float>(from);
  CHECK(resized({}, from, image) == image);
  CHECK(resized({R::exact, 5, 6, 0, 0, I::bicubic}, from, image) == image);
}

TEST_CASE("the longer side is truncated as torchvision does it") {
  const Resize resize{R::shorter, 224, 224, 0, 0, I::bicubic};
  CHECK(scaled_shape(resize, {3, 375, 500}) == ImageShape{3, 224, 298});
  CHECK(scaled_shape(resize, {3, 500, 375}) == ImageShape{3, 298, 224});
  CHECK(scaled_shape(resize, {1, 3, 2}) == ImageShape{1, 336, 224});
  CHECK(scaled_shape({}, {3, 5, 7}) == ImageShape{3, 5, 7});
}

TEST_CASE("sizes that no image can have are rejected") {
  const auto nothing = error_of([] { resized_shape({R::shorter, 8, 8, 4, 4, I::bicubic}, {3, 0, 7}); });
  REQUIRE(nothing);
  CHECK(nothing->message() == "cannot resize an image of 3x0x7: it has no pixels");
  const auto empty = error_of([] { resized_shape({R::exact, 0, 8, 0, 0, I::bicubic}, {3, 4, 7}); });
  REQUIRE(empty);
  CHECK(empty->kind() == ErrorKind::usage);
  CHECK(empty->message() == "cannot resize an image of 3x4x7");
  CHECK(empty->detail() == "it would be 3x0x8, and a side has 1 to 16777216 pixels");
  CHECK(error_of([] { Resampler({R::shorter, 4096, 4096, 8, 8, I::bicubic}, {1, 65536, 8}); }));
}

TEST_CASE("the bound of a resampler grows with the image and the result") {
  const Resize resize{R::shorter, 224, 224, 224, 224, I::bicubic};
  CHECK(Resampler::buffer_bytes(resize, {3, 375, 500}) >= 375 * 224 * sizeof(float));
  CHECK(Resampler::buffer_bytes(resize, {3, 375, 500}) < Resampler::buffer_bytes(resize, {3, 600, 500}));
}

}  // namespace
}  // namespace tutti::test
