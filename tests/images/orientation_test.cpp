// The EXIF orientation: where it is found, and how a picture is turned.
#include "images/orientation.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/images/oriented.hpp"

namespace tutti::test {
namespace {

std::uint8_t orientation_in(const std::string& file) { return images::orientation_of(std::as_bytes(std::span(file))); }

TEST_CASE("the orientation of a JPEG and of a PNG is found in both orders of bytes") {
  const std::string jpeg = "\xFF\xD8\xFF\xDB" + std::string("\0\3x", 3) + "\xFF\xDA";
  const std::string png = "\x89PNG\r\n\x1A\n" + std::string("\0\0\0\0IDAT1234", 12);
  CHECK(orientation_in(jpeg) == 1);
  CHECK(orientation_in(png) == 1);
  CHECK(orientation_in("GIF89a") == 1);
  CHECK(orientation_in("") == 1);
  for (const bool little : {true, false})
    for (std::uint8_t value = 1; value <= 8; ++value) {
      CHECK(orientation_in(oriented_jpeg(jpeg, value, little)) == value);
      CHECK(orientation_in(oriented_png(png, value, little)) == value);
    }
  for (std::uint8_t value = 1; value <= 8; ++value)
    for (const bool little : {true, false}) {
      const std::string exif = exif_of(value, little);
      CHECK(orientation_in(exif) == value);  // a TIFF
      CHECK(images::is_always_turned(std::as_bytes(std::span(exif))));
      const std::string chunk = "EXIF" + std::string(1, static_cast<char>(exif.size())) + std::string(3, '\0') + exif;
      const std::string webp = "RIFF1234WEBP" + std::string("VP8 \3\0\0\0abc_", 12);
      CHECK(orientation_in(webp) == 1);
      CHECK(orientation_in(webp + chunk) == value);
      CHECK(orientation_in(webp + chunk.substr(0, 30)) == 1);
      CHECK_FALSE(images::is_always_turned(std::as_bytes(std::span(webp))));
    }
  // Of other values nothing is known.
  CHECK(orientation_in(oriented_jpeg(jpeg, 0)) == 1);
  CHECK(orientation_in(oriented_jpeg(jpeg, 9)) == 1);
}

TEST_CASE("an orientation that was cut off or damaged is none") {
  const std::string whole = oriented_jpeg("\xFF\xD8\xFF\xDA", 6);
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) CHECK(orientation_in(whole.substr(0, size)) == 1);
  const std::string png = oriented_png("\x89PNG\r\n\x1A\n", 6);
  for (std::size_t size = 0; size < png.size(); ++size) CHECK(orientation_in(png.substr(0, size)) == 1);
  for (std::size_t place = 0; place < whole.size(); ++place)
    for (const char value : {'\0', '\xFF', '\x7F'}) {
      std::string damaged = whole;
      damaged[place] = value;
      const std::uint8_t found = orientation_in(damaged);
      CHECK(found >= 1);
      CHECK(found <= 8);
    }
}

TEST_CASE("a picture is turned as Pillow turns it") {
  // ImageOps.exif_transpose() of the two rows "abc" and "def".
  const std::array<std::string, 8> wanted{"abc/def",  "cba/fed",  "fed/cba",  "def/abc",
                                          "ad/be/cf", "da/eb/fc", "fc/eb/da", "cf/be/ad"};
  std::vector<std::uint8_t> room;
  for (std::uint8_t orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    images::DecodedImage image{{3, 2, 3}, {3, 4, 6}, {}};
    for (const char letter : std::string("abcdef"))
      for (int channel = 0; channel < 3; ++channel) image.bytes.push_back(static_cast<std::uint8_t>(letter + channel));
    images::turn(image, orientation, room);
    std::string found;
    for (std::uint32_t y = 0; y < image.shape.height; ++y) {
      if (y > 0) found += '/';
      for (std::uint32_t x = 0; x < image.shape.width; ++x) {
        const std::uint8_t* const pixel = image.bytes.data() + 3 * (y * image.shape.width + x);
        found += static_cast<char>(pixel[0]);
        CHECK(pixel[1] == pixel[0] + 1);
        CHECK(pixel[2] == pixel[0] + 2);
      }
    }
    CHECK(found == wanted[orientation - 1]);
    CHECK(image.full == (orientation >= 5 ? ImageShape{3, 6, 4} : ImageShape{3, 4, 6}));
  }
}

}  // namespace
}  // namespace tutti::test
