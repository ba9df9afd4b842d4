// Tiles of the pictures of a folder, which are cut in their own sizes.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/resample.hpp"
#include "images/codecs.hpp"
#include "images/formats.hpp"
#include "images/tiles.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"
#include "tests/images/oriented.hpp"
#include "tests/images/reading.hpp"
#include "tests/support/places.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::error_of;
using test::TemporaryFolder;

const fs::path kPictures = test::in_sources("tests/images/data/encoded");

std::vector<std::byte> bytes_of(const fs::path& file) {
  std::vector<std::byte> bytes(fs::file_size(file));
  std::ifstream(file, std::ios::binary)
      .read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

TEST_CASE("the size of every picture is read from its header as its decoder has it") {
  std::size_t seen = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(kPictures)) {
    if (entry.path().extension() == ".rgb") continue;
    const std::vector<std::byte> file = bytes_of(entry.path());
    const auto format = format_of(file);
    DecodedImage image;
    if (!format || error_of([&] { decode(file, {}, image); })) continue;
    CAPTURE(entry.path());
    CHECK(stored_size(file) == image.shape);
    ++seen;
  }
  CHECK(seen > 20);
  CHECK(contains(error_of([] { stored_size({}); })->message(), "it is empty"));
}

TEST_CASE("tiles of pictures are cut from the decoded picture, which keeps its size") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "a");
  fs::create_directories(folder / "b");
  fs::copy_file(kPictures / "plain.jpg", folder / "a" / "one.jpg");
  fs::copy_file(kPictures / "grey.png", folder / "b" / "two.png");
  const Tiles tiles{{9, 5}, 0.5, {}};
  const auto source = tiled(open_large_pictures(folder.path(), {}), tiles, 0, 2);
  CHECK(source->shape() == ImageShape{3, 9, 5});
  CHECK(source->has_bytes());
  CHECK_FALSE(source->labelled());
  const Tiling* const tiling = tiling_of(*source);
  REQUIRE(tiling != nullptr);
  REQUIRE(tiling->inputs() == 2);
  CHECK_FALSE(tiling->of_one_size());
  CHECK(tiling->name_of(1) == "b/two.png");
  CHECK(source->image_name(source->count() - 1) ==
        "tile " + std::to_string(tiling->grid_of(1).count() - 1) + " of b/two.png");
  CHECK(source->count() == tiling->grid_of(0).count() + tiling->grid_of(1).count());
  CHECK(test::any_order_gives_the_same(*source));
  CHECK(test::bytes_are_the_floats(*source, {0, source->count() - 1, 1}));
  std::vector<std::uint8_t> pixels(source->count() * 135);
  source->read_bytes(test::all_of(*source), pixels, {});
  for (std::uint64_t number = 0; number < source->count(); ++number) {
    const Tiling::Place place = tiling->place_of(number);
    DecodedImage image;
    decode(bytes_of(folder / tiling->name_of(place.input)), {}, image);
    REQUIRE(tiling->grid_of(place.input).input() == Dims{image.shape.height, image.shape.width});
    const Region region = tiling->grid_of(place.input).region(place.tile);
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (std::size_t y = 0; y < 9; ++y)
        for (std::size_t x = 0; x < 5; ++x) {
          const std::size_t row = region.begin[0] + y;
          const std::size_t column = region.begin[1] + x;
          const bool inside = row < image.shape.height && column < image.shape.width;
          const int wanted = inside ? image.bytes[(row * image.shape.width + column) * 3 + channel] : 0;
          REQUIRE(int{pixels[number * 135 + channel * 45 + y * 5 + x]} == wanted);
        }
  }
}

TEST_CASE("pictures that cannot be decoded are named, or left out") {
  const TemporaryFolder folder;
  fs::copy_file(kPictures / "plain.jpg", folder / "good.jpg");
  test::write_file(folder / "broken.png", "no picture");
  const auto error = error_of([&] { tiled(open_large_pictures(folder.path(), {}), {{9}, 0.5, {}}, 0, 2); });
  REQUIRE(error);
  CHECK(error->message() == (folder / "broken.png").string() + " cannot be decoded");
  const auto source = tiled(open_large_pictures(folder.path(), {{1}, true}), {{9}, 0.5, {}}, 0, 2);
  CHECK(tiling_of(*source)->inputs() == 1);
  CHECK(source->skipped().size() == 1);
}

}  // namespace
}  // namespace tutti::images
