// Masks as PNG, read again by the decoder of images.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "images/codecs.hpp"
#include "images/png_writer.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::TemporaryFolder;

/// Red, green and blue of PASCAL VOC's first colours (its development kit's VOClabelcolormap) and of its border.
constexpr std::array<std::array<int, 3>, 9> kVoc{{{0, 0, 0},
                                                  {128, 0, 0},
                                                  {0, 128, 0},
                                                  {128, 128, 0},
                                                  {0, 0, 128},
                                                  {128, 0, 128},
                                                  {0, 128, 128},
                                                  {128, 128, 128},
                                                  {64, 0, 0}}};

TEST_CASE("a mask has the colours of its classes, however its pixels came") {
  const TemporaryFolder folder;
  std::vector<std::uint8_t> classes(std::size_t{7} * 5);
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i] = static_cast<std::uint8_t>(i % 10 == 9 ? 255 : i % 10);
  for (const std::size_t step : {1U, 4U, 35U}) {
    PalettePng mask(folder / "m.png", 7, 5);
    for (std::size_t at = 0; at < classes.size(); at += step)
      mask.write(std::span(classes).subspan(at, std::min(step, classes.size() - at)));
    mask.finish();
    const std::string file = read_text(folder / "m.png", "a mask");
    CHECK(file[25] == '\x03');  // the colour type of a palette
    DecodedImage image;
    decode(std::as_bytes(std::span(file)), {}, image);
    REQUIRE(image.shape == ImageShape{3, 7, 5});
    for (std::size_t i = 0; i < classes.size(); ++i)
      for (std::size_t colour = 0; colour < 3; ++colour)
        REQUIRE(image.bytes[i * 3 + colour] ==
                (classes[i] == 255 ? std::array{224, 224, 192} : kVoc[classes[i]])[colour]);
  }
}

TEST_CASE("a mask that libpng does not begin is an error that leaves nothing behind") {
  // With -fsanitize=address, also no memory.
  const TemporaryFolder folder;
  const auto error = error_of([&] { PalettePng(folder / "m.png", 3, 0); });
  REQUIRE(error);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a mask that is not finished does not appear") {
  const TemporaryFolder folder;
  {
    PalettePng mask(folder / "m.png", 2, 2);
    mask.write(std::vector<std::uint8_t>{1, 2, 3});
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK(error_of([&] { PalettePng(folder / "no" / "m.png", 2, 2); }));
}

}  // namespace
}  // namespace tutti::images
