// Tests of the grid of tiles against a plain computation, and of the source that cuts them out of files.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/counted.hpp"
#include "images/tiles.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"
#include "tests/images/reading.hpp"

namespace tutti::images {
namespace {

using test::contains;
using test::error_of;
using test::TemporaryFolder;
using test::write_array;

/// Where tiles begin along one axis, by the rule as it is written down.
std::vector<std::uint32_t> plain_begins(std::uint32_t input, std::uint32_t tile, double overlap) {
  const int stride = std::max(1, static_cast<int>(tile * (1 - overlap)));
  std::vector<std::uint32_t> begins;
  for (std::uint32_t begin = 0;; begin += static_cast<std::uint32_t>(stride)) {
    if (begin + tile < input) {
      begins.push_back(begin);
      continue;
    }
    begins.push_back(input > tile ? input - tile : 0);
    return begins;
  }
}

TEST_CASE("tiles begin where the rule says, for every size from 1 to 40 and every overlap") {
  for (std::uint32_t input = 1; input <= 40; ++input)
    for (std::uint32_t tile = 1; tile <= 45; tile += tile < 12 ? 1 : 4)
      for (const double overlap : {0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999}) {
        const TileGrid grid({{tile}, overlap, {}}, {input});
        const std::vector<std::uint32_t> begins = plain_begins(input, tile, overlap);
        std::vector<std::uint32_t> found;
        for (std::uint64_t number = 0; number < grid.count(); ++number) {
          const Region region = grid.region(number);
          found.push_back(region.begin[0]);
          REQUIRE(region.size[0] == std::min(tile, input));
        }
        CAPTURE(input);
        CAPTURE(tile);
        CAPTURE(overlap);
        REQUIRE(found == begins);
      }
}

TEST_CASE("an input that a tile fits exactly has one tile, and a long one ends with a tile") {
  CHECK(TileGrid({{512}, 0.5, {}}, {512, 512}).count() == 1);
  CHECK(TileGrid({{512}, 0.5, {}}, {513, 512}).count() == 2);
  CHECK(TileGrid({{512}, 0, {}}, {1024, 512}).count() == 2);
  const TileGrid grid({{512}, 0.5, {}}, {2048, 2048});
  CHECK(grid.count() == 49);
  CHECK(grid.region(48) == Region{{1536, 1536}, {512, 512}});
  // 10 * (1 - 0.9) is a little less than 1 in float64, in Python too: the step is 1 and never 0.
  CHECK(TileGrid({{10}, 0.9, {}}, {20}).count() == 11);
}

TEST_CASE("tiles of two and three axes are numbered row-major and cover every place") {
  for (const Dims& input : {Dims{7, 9}, Dims{3, 20}, Dims{4, 5, 9}, Dims{1, 1, 8}, Dims{6, 2, 2}})
    for (const double overlap : {0.0, 0.5, 0.9}) {
      Dims tile{4, 3, 5};
      tile.resize(input.size());
      const TileGrid grid({tile, overlap, {}}, input);
      std::vector<bool> covered(elements_of(input));
      std::vector<Dims> begins;
      for (std::uint64_t number = 0; number < grid.count(); ++number) {
        const Region region = grid.region(number);
        begins.push_back(region.begin);
        each_run(region, input, tile, [&](std::uint64_t whole, std::uint64_t, std::size_t length) {
          for (std::size_t i = 0; i < length; ++i) covered[whole + i] = true;
        });
      }
      CHECK(std::ranges::is_sorted(begins));
      CHECK(std::set<Dims>(begins.begin(), begins.end()).size() == begins.size());
      CHECK(std::ranges::find(covered, false) == covered.end());
    }
}

std::vector<float> count_up(std::size_t values) {
  std::vector<float> all(values);
  std::iota(all.begin(), all.end(), 0.0F);
  return all;
}

std::string shape_text(const std::vector<std::uint32_t>& shape) {
  std::string text = "(";
  for (const std::uint32_t size : shape) text += std::to_string(size) + ", ";
  return text + ")";
}

/// The value at a place of one channel of an input, or 0 beyond its end.
float plain_value(const std::vector<float>& all, const Dims& sizes, std::uint64_t plane, const Dims& place) {
  std::uint64_t index = plane;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    if (place[axis] >= sizes[axis]) return 0;
    index = index * sizes[axis] + place[axis];
  }
  return all[index];
}

TEST_CASE("tiles of arrays of one to three axes hold the region and zeros") {
  const TemporaryFolder folder;
  for (const Dims& sizes : {Dims{11}, Dims{7, 9}, Dims{4, 5, 9}, Dims{2, 3, 2}})
    for (const std::uint32_t size : {1U, 3U, 6U}) {
      std::vector<std::uint32_t> shape{2, 3};
      shape.insert(shape.end(), sizes.begin(), sizes.end());
      const std::vector<float> all = count_up(elements_of(Dims(shape.begin(), shape.end())));
      write_array(folder / "x.npy", "<f4", shape_text(shape), all);
      const Tiles tiles{{size}, 0.5, {}};
      const auto source = tiled(open_large_array({"x", folder / "x.npy"}), tiles, 0, 99);
      const TileGrid grid(tiles, sizes);
      REQUIRE(source->count() == 2 * grid.count());
      REQUIRE(source->tensors().front().layout.dims.size() == sizes.size() + 1);
      const auto read = test::read_samples(*source, test::all_of(*source)).values<float>(0);
      std::size_t at = 0;
      for (std::uint64_t plane = 0; plane < 6; plane += 3)
        for (std::uint64_t number = 0; number < grid.count(); ++number)
          for (std::uint64_t channel = 0; channel < 3; ++channel)
            for (std::uint64_t place = 0; place < elements_of(grid.tile()); ++place) {
              Dims where = grid.region(number).begin;
              std::uint64_t rest = place;
              for (std::size_t axis = sizes.size(); axis-- > 0;) {
                where[axis] += static_cast<std::uint32_t>(rest % size);
                rest /= size;
              }
              REQUIRE(read[at++] == plain_value(all, sizes, plane + channel, where));
            }
      CHECK(at == read.size());
    }
}

TEST_CASE("tiles are the same in any order, as bytes, and with the channels last") {
  const TemporaryFolder folder;
  std::vector<std::uint8_t> first(std::size_t{2} * 3 * 10 * 7);
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = static_cast<std::uint8_t>(i * 37);
  std::vector<std::uint8_t> last(first.size());
  for (std::size_t image = 0; image < 2; ++image)
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (std::size_t pixel = 0; pixel < 70; ++pixel)
        last[(image * 70 + pixel) * 3 + channel] = first[(image * 3 + channel) * 70 + pixel];
  write_array(folder / "nchw.npy", "|u1", "(2, 3, 10, 7)", first);
  write_array(folder / "nhwc.npy", "|u1", "(2, 10, 7, 3)", last);
  const Tiles tiles{{4, 5}, 0.25, {}};
  const auto source = tiled(open_large_images(folder / "nchw.npy", Layout::nchw), tiles, 0, 2);
  CHECK(source->shape() == ImageShape{3, 4, 5});
  CHECK(source->count() == 12);
  CHECK(source->name() == fmt::format("npy {}, 2 inputs in tiles of 4x5", (folder / "nchw.npy").string()));
  CHECK(source->image_name(7) == "tile 1 of input 1");
  CHECK_FALSE(source->labelled());
  CHECK(test::any_order_gives_the_same(*source));
  CHECK(test::bytes_are_the_floats(*source, {0, 5, 11}));
  const auto other = tiled(open_large_images(folder / "nhwc.npy", Layout::nhwc), tiles, 0, 2);
  CHECK(test::read(*other, test::all_of(*other)).pixels == test::read(*source, test::all_of(*source)).pixels);
}

TEST_CASE("the first and the number of inputs choose inputs, not tiles") {
  const TemporaryFolder folder;
  write_array(folder / "x.npy", "<f4", "(4, 1, 6)", count_up(24));
  const auto source = tiled(open_large_array({"x", folder / "x.npy"}), {{4}, 0.5, {}}, 1, 2);
  CHECK(source->count() == 4);
  CHECK(test::read_samples(*source, {3}).values<float>(0) == std::vector<float>{14, 15, 16, 17});
  CHECK(tiled(open_large_array({"x", folder / "x.npy"}), {{4}, 0.5, {}}, 3, 9)->count() == 2);
  CHECK(tiled(open_large_array({"x", folder / "x.npy"}), {{4}, 0.5, {}}, 0, 0)->count() == 0);
}

TEST_CASE("tiles of every type are read, and float64 becomes float32") {
  const TemporaryFolder folder;
  write_array(folder / "i8.npy", "<i8", "(1, 1, 3)", std::vector<std::int64_t>{5, 6, 7});
  const auto whole = tiled(open_large_array({"x", folder / "i8.npy"}), {{2}, 0.5, {}}, 0, 1);
  CHECK(whole->tensors().front().layout == TensorLayout{Dtype::int64, {1, 2}});
  CHECK(test::read_samples(*whole, {1}).values<std::int64_t>(0) == std::vector<std::int64_t>{6, 7});
  write_array(folder / "f8.npy", "<f8", "(1, 1, 3)", std::vector<double>{0.5, 1e300, 2});
  const auto wide = tiled(open_large_array({"x", folder / "f8.npy"}), {{1}, 0, {}}, 0, 1);
  CHECK(test::read_samples(*wide, {0, 2}).values<float>(0) == std::vector<float>{0.5, 2});
  CHECK(wide->remarks() == std::vector{(folder / "f8.npy").string() + " holds float64, which becomes float32"});
  CHECK(contains(error_of([&] { test::read_samples(*wide, {1}); })->detail(), "which float32 cannot hold"));
  write_array(folder / "b1.npy", "|b1", "(1, 1, 2)", std::vector<std::uint8_t>{9, 0});
  const auto truths = tiled(open_large_array({"x", folder / "b1.npy"}), {{2}, 0, {}}, 0, 1);
  CHECK(test::read_samples(*truths, {0}).values<std::uint8_t>(0) == std::vector<std::uint8_t>{1, 0});
}

TEST_CASE("arrays without spatial axes, or with other numbers of them than 'size', are named with their shapes") {
  const TemporaryFolder folder;
  write_array(folder / "rows.npy", "<f4", "(4, 6)", count_up(24));
  const auto rows = error_of([&] { open_large_array({"x", folder / "rows.npy"}); });
  REQUIRE(rows);
  CHECK(rows->kind() == ErrorKind::usage);
  CHECK(rows->message() == (folder / "rows.npy").string() + " cannot be used as inputs to cut into tiles");
  CHECK(rows->detail() ==
        "its shape is (4, 6), and (count, channels, ...) with 1 to 3 axes after the channels is needed");
  write_array(folder / "six.npy", "<f4", "(1, 1, 1, 1, 1, 2)", count_up(2));
  CHECK(error_of([&] { open_large_array({"x", folder / "six.npy"}); }));
  write_array(folder / "x.npy", "<f4", "(1, 2, 3, 4, 1)", count_up(24));
  const auto sizes = error_of([&] { tiled(open_large_array({"x", folder / "x.npy"}), {{2, 2}, 0.5, {}}, 0, 1); });
  REQUIRE(sizes);
  CHECK(sizes->message() == "'size' of 'tiles' has 2 numbers, but the inputs have 3 spatial axes");
  CHECK(sizes->detail() == fmt::format("npy {} has inputs of 2x3x4x1", (folder / "x.npy").string()));
}

}  // namespace
}  // namespace tutti::images
