// PNGs as numbers: every depth of grey and palettes; colours are refused.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "images/index_png.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/made_png.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::png_of;
using test::PngColours;
using Numbers = std::vector<std::uint16_t>;

Numbers numbers_of(const std::string& png) {
  IndexImage image;
  image.numbers.assign(3, 9);  // of an image before
  decode_index(std::as_bytes(std::span(png)), image);
  REQUIRE(image.numbers.size() == std::size_t{image.height} * image.width);
  return image.numbers;
}

std::string refusal(const std::string& png) {
  IndexImage image;
  const auto error = error_of([&] { decode_index(std::as_bytes(std::span(png)), image); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  return error->message();
}

TEST_CASE("the numbers of a grey PNG are its values, of any depth, and not stretched") {
  CHECK(numbers_of(png_of({2, 3, PngColours::grey, 8}, {0, 1, 255, 7, 128, 3})) == Numbers{0, 1, 255, 7, 128, 3});
  CHECK(numbers_of(png_of({1, 3, PngColours::grey, 16}, {1, 2, 0, 5, 255, 255})) == Numbers{258, 5, 65535});
  CHECK(numbers_of(png_of({2, 3, PngColours::grey, 1}, {0b10100000, 0b01000000})) == Numbers{1, 0, 1, 0, 1, 0});
  CHECK(numbers_of(png_of({1, 5, PngColours::grey, 2}, {0b11100100, 0b10000000})) == Numbers{3, 2, 1, 0, 2});
  CHECK(numbers_of(png_of({1, 3, PngColours::grey, 4}, {0xF1, 0x20})) == Numbers{15, 1, 2});
}

TEST_CASE("the numbers of a palette PNG are the places of its colours") {
  CHECK(numbers_of(png_of({2, 2, PngColours::palette, 8}, {0, 21, 255, 4})) == Numbers{0, 21, 255, 4});
  CHECK(numbers_of(png_of({1, 5, PngColours::palette, 2}, {0b00011011, 0b11000000})) == Numbers{0, 1, 2, 3, 3});
}

TEST_CASE("a PNG whose pixels are colours has no numbers") {
  constexpr const char* kColours = ", and the colours of a pixel do not tell its class";
  CHECK(refusal(png_of({1, 1, PngColours::rgb, 8}, {1, 2, 3})) == std::string("it is RGB") + kColours);
  CHECK(refusal(png_of({1, 1, PngColours::rgb_alpha, 8}, {1, 2, 3, 4})) ==
        std::string("it is RGB with alpha") + kColours);
  CHECK(refusal(png_of({1, 1, PngColours::grey_alpha, 8}, {1, 2})) == std::string("it is grey with alpha") + kColours);
}

TEST_CASE("what is not a whole PNG has no numbers") {
  CHECK(refusal("") == "it is empty");
  CHECK(refusal("\xff\xd8\xff a photograph") == "it is not a PNG");
  const std::string whole = png_of({2, 3, PngColours::grey, 8}, {0, 1, 2, 3, 4, 5});
  CHECK(refusal(whole.substr(0, whole.size() - 20)) == "the file ends before the image does");
  std::string changed = whole;
  changed[whole.size() - 20] ^= 1;
  CHECK_FALSE(refusal(changed).empty());
}

}  // namespace
}  // namespace tutti::images
