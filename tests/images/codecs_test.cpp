// Every format; the references are what Pillow makes of the same files, see data/make_encoded.py.
#include "images/codecs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/resample.hpp"
#include "images/formats.hpp"
#include "tests/common/error_of.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

using images::DecodedImage;

const std::string kEncoded = test::in_sources("tests/images/data/encoded/");

std::vector<std::byte> file_of(const std::string& name) {
  std::ifstream in(kEncoded + name, std::ios::binary);
  REQUIRE(in);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

/// The largest difference between an image and its reference; 1000 if sizes differ.
int difference(const std::string& name) {
  DecodedImage image;
  images::decode(file_of(name), {}, image);
  const auto reference = file_of(name + ".rgb");
  if (image.shape != ImageShape{3, 21, 33} || reference.size() != image.shape.elements()) return 1000;
  int largest = 0;
  for (std::size_t i = 0; i < reference.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<int>(reference[i]) - image.values()[i]));
  return largest;
}

std::string refusal(std::span<const std::byte> file) {
  DecodedImage image;
  const auto error = error_of([&] { images::decode(file, {}, image); });
  const auto checked = error_of([&] { images::check(file, image); });
  CHECK(error.has_value() == checked.has_value());
  if (!error) return "decoded";
  CHECK(error->kind() == ErrorKind::usage);
  return error->message();
}

TEST_CASE("every PNG becomes the bytes that Pillow makes of it") {
  for (const char* name : {"plain", "alpha", "grey", "grey_alpha", "palette", "bits", "interlaced", "sixteen"}) {
    CAPTURE(name);
    CHECK(difference(std::string(name) + ".png") == 0);
  }
}

TEST_CASE("every JPEG becomes what Pillow makes of it but for a rounding of another library") {
  for (const char* name : {"plain", "full_colour", "progressive", "grey", "cmyk", "turned"}) {
    CAPTURE(name);
    CHECK(difference(std::string(name) + ".jpg") <= 2);
  }
}

TEST_CASE("every WebP and TIFF and BMP becomes what Pillow makes of it") {
  for (const char* name :
       {"lossless.webp", "alpha.webp", "plain.tif", "lzw.tif", "deflate.tiff", "alpha.tif", "grey.tif", "palette.tif",
        "fax.tif", "cmyk.tif", "pages.tif", "plain.bmp", "grey.bmp", "palette.bmp", "bits.bmp", "alpha.bmp"}) {
    CAPTURE(name);
    const auto file = file_of(name);
    const auto format = images::format_of(file);
    REQUIRE(format);
    // CMYK is multiplied out with another rounding.
    if (images::is_built_in(*format))
      CHECK(difference(name) <= (std::string(name) == "cmyk.tif" ? 1 : 0));
    else
      CHECK(refusal(file) == images::not_built_in(*format));
  }
  if (images::is_built_in(images::Format::webp)) CHECK(difference("plain.webp") <= 2);
}

TEST_CASE("a format without its library is named with what to install") {
  CHECK(images::not_built_in(images::Format::webp) ==
        "it is a WebP, and this build of Tutti has no libwebp; install it (Debian: libwebp-dev) and build again, or "
        "convert the file to PNG");
  CHECK(contains(images::not_built_in(images::Format::tiff), "libtiff-dev"));
  CHECK(contains(images::not_built_in(images::Format::bmp), "libstb-dev"));
}

TEST_CASE("an image that was decoded before leaves nothing in the next") {
  DecodedImage image;
  images::decode(file_of("alpha.png"), {}, image);
  const std::vector<std::uint8_t> first(image.values().begin(), image.values().end());
  const Resize small{ResizeRule::exact, 2, 2, 0, 0, Interpolation::bicubic};
  images::decode(file_of("grey.jpg"), std::span(&small, 1), image);
  images::decode(file_of("alpha.png"), {}, image);
  CHECK(std::ranges::equal(image.values(), first));
}

TEST_CASE("something that is not an image is rejected with a message") {
  CHECK(refusal({}) == "it is empty");
  const std::string text = "GIF89a and more";
  CHECK(refusal(std::as_bytes(std::span(text))) == "it is not a JPEG, PNG, WebP, TIFF or BMP");
  CHECK(contains(refusal(file_of("plain.jpg")), "decoded"));
  const std::string start = "\xFF\xD8\xFF";
  CHECK(refusal(std::as_bytes(std::span(start))) == "Premature end of JPEG file");
  const std::string png = "\x89PNG\r\n\x1A\n";
  CHECK(refusal(std::as_bytes(std::span(png))) == "the file ends before the image does");
}

TEST_CASE("what Tutti does not read of a format is rejected by name") {
  if (images::is_built_in(images::Format::webp))
    CHECK(refusal(file_of("../animated.webp")) == "it is an animated WebP, and Tutti reads single images");
  if (!images::is_built_in(images::Format::bmp)) return;
  auto file = file_of("grey.bmp");
  file[30] = std::byte{1};
  CHECK(refusal(file) == "it is a BMP that is compressed with RLE");
  file = file_of("plain.bmp");
  file[20] = std::byte{0xF0};  // the width is 0xF00021 now
  CHECK(contains(refusal(file), "more than 134217728"));
  file[18] = file[20] = std::byte{0};
  CHECK(refusal(file) == "it has no pixels");
}

TEST_CASE("an image that was cut off anywhere is rejected") {
  for (const char* name :
       {"plain.jpg", "progressive.jpg", "cmyk.jpg", "plain.png", "interlaced.png", "palette.png", "plain.webp",
        "lossless.webp", "lzw.tif", "deflate.tiff", "fax.tif", "plain.bmp", "bits.bmp"}) {
    const auto whole = file_of(name);
    // The end of a JPEG is a marker of two bytes, without which all of the image is there.
    const std::size_t most = whole.size() - (std::string(name).ends_with("jpg") ? 8 : 1);
    for (std::size_t size = 1; size <= most; size += 1 + size / 16) {
      CAPTURE(name);
      CAPTURE(size);
      CHECK(refusal(std::span(whole).first(size)) != "decoded");
    }
  }
}

TEST_CASE("a PNG with a wrong byte is rejected") {
  auto file = file_of("interlaced.png");
  file[file.size() / 2] ^= std::byte{0x10};
  CHECK(refusal(file) != "decoded");
}

TEST_CASE("a JPEG of endless scans is rejected and one of two is not") {
  const auto file = file_of("../two_scans.jpg");
  CHECK(refusal(file) == "decoded");
  const std::array marker{std::byte{0xFF}, std::byte{0xDA}};
  const auto begin = std::search(file.begin(), file.end(), marker.begin(), marker.end());
  const auto end = std::find(begin + 10, file.end(), std::byte{0xFF});
  std::vector<std::byte> many(file.begin(), begin);
  for (int i = 0; i < 600; ++i) many.insert(many.end(), begin, end);
  many.insert(many.end(), end, file.end());
  CHECK(refusal(many) == "it has more than 500 scans");
}

TEST_CASE("an image that is too large is rejected before it takes memory") {
  auto file = file_of("plain.jpg");
  const std::array marker{std::byte{0xFF}, std::byte{0xC0}};
  const auto frame = std::search(file.begin(), file.end(), marker.begin(), marker.end());
  REQUIRE(frame != file.end());
  for (int i = 5; i < 9; ++i) frame[i] = std::byte{0xF0};
  CHECK(refusal(file) == "it has 61680 x 61680 pixels, more than 134217728");
}

TEST_CASE("a JPEG is decoded at a part of its size if that is twice what is wanted") {
  const Resize clip{ResizeRule::shorter, 224, 224, 224, 224, Interpolation::bicubic};
  CHECK(images::jpeg_scale(clip, 375, 500) == 1);
  CHECK(images::jpeg_scale(clip, 894, 1200) == 1);
  CHECK(images::jpeg_scale(clip, 895, 1200) == 2);
  CHECK(images::jpeg_scale(clip, 2000, 3000) == 4);
  CHECK(images::jpeg_scale(clip, 4000, 6000) == 8);
  Resize nearest = clip;
  nearest.interpolation = Interpolation::nearest;
  CHECK(images::jpeg_scale(nearest, 4000, 6000) == 1);
  CHECK(images::jpeg_scale({}, 4000, 6000) == 1);
  CHECK(images::jpeg_scale({ResizeRule::exact, 10, 2000, 0, 0, Interpolation::bicubic}, 4000, 6000) == 1);
  DecodedImage image;
  const Resize half{ResizeRule::exact, 5, 8, 0, 0, Interpolation::bicubic};
  images::decode(file_of("plain.jpg"), std::span(&half, 1), image);
  CHECK(image.shape == ImageShape{3, 11, 17});
  CHECK(image.full == ImageShape{3, 21, 33});
  // Of several resizes the one that needs most counts.
  const std::vector<Resize> two{{ResizeRule::exact, 2, 4, 0, 0, Interpolation::bicubic}, half};
  images::decode(file_of("plain.jpg"), two, image);
  CHECK(image.shape == ImageShape{3, 11, 17});
  images::decode(file_of("plain.jpg"), std::span(two).first(1), image);
  CHECK(image.shape == ImageShape{3, 6, 9});
}

TEST_CASE("what an image is resized to follows from its whole size at whatever part it was decoded") {
  const auto part = [](std::uint32_t side, std::uint32_t scale) { return (side + scale - 1) / scale; };
  for (const std::uint32_t wanted : {8U, 224U, 336U}) {
    const Resize resize{ResizeRule::shorter, wanted, wanted, wanted, wanted, Interpolation::bicubic};
    for (const std::uint32_t shorter : {16U, 127U, 895U, 1365U, 2000U}) {
      for (std::uint32_t longer = shorter; longer <= 4096; ++longer) {
        for (const std::uint32_t scale : {1U, 2U, 4U, 8U}) {
          const DecodedImage wide{{3, part(shorter, scale), part(longer, scale)}, {3, shorter, longer}, {}};
          const DecodedImage high{{3, part(longer, scale), part(shorter, scale)}, {3, longer, shorter}, {}};
          // In whole numbers, and not as the code has it.
          const std::uint32_t long_side = wanted * longer / shorter;
          REQUIRE(scaled_shape(images::resize_from_decoded(resize, wide), wide.shape) ==
                  ImageShape{3, wanted, long_side});
          REQUIRE(scaled_shape(images::resize_from_decoded(resize, high), high.shape) ==
                  ImageShape{3, long_side, wanted});
        }
      }
    }
  }
}

}  // namespace
}  // namespace tutti::test
