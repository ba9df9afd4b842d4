// Tests of blending against a plain computation that keeps whole inputs in memory.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "common/random.hpp"
#include "images/npy_reader.hpp"
#include "results/blending.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryFolder;

/// The place of each axis, row-major.
Dims place_of(std::uint64_t index, const Dims& sizes) {
  Dims place(sizes.size());
  for (std::size_t axis = sizes.size(); axis-- > 0;) {
    place[axis] = static_cast<std::uint32_t>(index % sizes[axis]);
    index /= sizes[axis];
  }
  return place;
}

std::uint64_t index_of(const Dims& place, const Dims& sizes) {
  std::uint64_t index = 0;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) index = index * sizes[axis] + place[axis];
  return index;
}

TEST_CASE("weights of tiles of one to three axes are those of the formula") {
  for (const Dims& tile : {Dims{1}, Dims{2}, Dims{7}, Dims{64}, Dims{6, 3}, Dims{4, 5, 8}, Dims{40, 40}}) {
    const std::vector<float> weights = tile_weights(tile, Blend::gaussian);
    REQUIRE(weights.size() == elements_of(tile));
    std::vector<double> plain(weights.size());
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const Dims place = place_of(i, tile);
      double exponent = 0;
      for (std::size_t axis = 0; axis < tile.size(); ++axis) {
        const double distance = place[axis] - (tile[axis] - 1) / 2.0;
        exponent -= distance * distance / (2 * (tile[axis] / 8.0) * (tile[axis] / 8.0));
      }
      plain[i] = std::exp(exponent);
    }
    const double most = *std::ranges::max_element(plain);
    for (std::size_t i = 0; i < plain.size(); ++i)
      REQUIRE(weights[i] == doctest::Approx(std::max(plain[i] / most, 1e-3)).epsilon(1e-6));
    CHECK(*std::ranges::max_element(weights) == 1.0F);
  }
  CHECK(tile_weights({40, 40}, Blend::gaussian).front() == 1e-3F);
  CHECK(tile_weights({3, 2}, Blend::mean) == std::vector<float>(6, 1.0F));
}

/// Made-up predictions of every tile.
std::vector<float> made_up(const Tiling& tiling, std::uint32_t values, std::uint64_t seed) {
  std::vector<float> all(tiling.count() * values * elements_of(tiling.tiles().size));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = unit_float(random_at(seed, i));
  return all;
}

/// Hands `width` values for each tile to the sink, in segments of `segment` tiles; those of `member` too, if there are
/// any.
void hand(Sink& sink, std::uint64_t tiles, std::uint32_t segment, std::span<const float> ensemble,
          std::span<const float> member = {}, std::uint64_t stop_after = ~std::uint64_t{0}) {
  for (std::uint64_t first = 0; first < std::min(tiles, stop_after); first += segment) {
    SegmentResult result;
    result.first = first;
    result.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(segment, tiles - first));
    const auto part = [&](std::span<const float> all) {
      return all.subspan(first * (all.size() / tiles), result.count * (all.size() / tiles));
    };
    result.width = static_cast<std::uint32_t>(ensemble.size() / tiles);
    result.values = part(ensemble);
    const std::vector<MemberSegmentResult> members{
        {static_cast<std::uint32_t>(member.size() / tiles), part(member), true}};
    if (!member.empty()) result.members = members;
    sink.write(result);
  }
}

/// The blended values of one input, values x its sizes: every tile is added to the whole input.
std::vector<float> plain_blend(const Tiling& tiling, std::uint64_t input, std::uint32_t values,
                               std::span<const float> tiles) {
  const TileGrid grid = tiling.grid_of(input);
  const std::uint64_t places = elements_of(grid.input());
  const std::uint64_t tile_places = elements_of(grid.tile());
  const std::vector<float> weights = tile_weights(grid.tile(), tiling.tiles().blend);
  std::vector<float> sums(values * places);
  std::vector<float> weight_sums(places);
  std::uint64_t first = 0;
  for (std::uint64_t before = 0; before < input; ++before) first += tiling.grid_of(before).count();
  for (std::uint64_t tile = 0; tile < grid.count(); ++tile)
    for (std::uint64_t i = 0; i < tile_places; ++i) {
      Dims place = place_of(i, grid.tile());
      bool inside = true;
      for (std::size_t axis = 0; axis < place.size(); ++axis) {
        place[axis] += grid.region(tile).begin[axis];
        inside = inside && place[axis] < grid.input()[axis];
      }
      if (!inside) continue;
      const std::uint64_t to = index_of(place, grid.input());
      weight_sums[to] += weights[i];
      for (std::uint32_t value = 0; value < values; ++value)
        sums[value * places + to] += weights[i] * tiles[((first + tile) * values + value) * tile_places + i];
    }
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] /= weight_sums[i % places];
  return sums;
}

std::vector<std::int64_t> plain_classes(std::span<const float> values, std::uint32_t classes) {
  const std::size_t places = values.size() / classes;
  std::vector<std::int64_t> decided(places);
  for (std::size_t place = 0; place < places; ++place)
    for (std::uint32_t label = 1; label < classes; ++label)
      if (values[label * places + place] > values[static_cast<std::size_t>(decided[place]) * places + place])
        decided[place] = label;
  return decided;
}

template <class Value>
std::vector<Value> all_of(const fs::path& file) {
  const NpyReader reader(file, std::is_same_v<Value, float> ? NpyType::float32 : NpyType::int64);
  std::vector<Value> values(reader.rows() * reader.width());
  reader.read(0, values);
  return values;
}

Dims with_classes(std::uint32_t classes, Dims tile) {
  tile.insert(tile.begin(), classes);
  return tile;
}

TEST_CASE("inputs of one size are blended to the bits of a plain computation, whatever their sizes") {
  struct Case {
    Dims input;
    Dims tile;
    double overlap;
  };
  for (const Case& one : {Case{{23}, {5}, 0.5}, Case{{4}, {9}, 0.5}, Case{{12, 9}, {4, 5}, 0.5},
                          Case{{12, 8}, {4, 4}, 0}, Case{{11, 13}, {10, 10}, 0.9}, Case{{3, 20}, {7, 6}, 0.25},
                          Case{{6, 5, 7}, {3, 5, 4}, 0.5}, Case{{2, 9, 2}, {4, 4, 4}, 0.75}, Case{{1, 1}, {1, 1}, 0.5}})
    for (const Blend blend : {Blend::gaussian, Blend::mean})
      for (const std::uint32_t segment : {1U, 4U, 1000U}) {
        const TemporaryFolder folder;
        const Tiling tiling({one.tile, one.overlap, blend}, one.input, 3);
        const std::vector<float> tiles = made_up(tiling, 2, 7);
        const std::vector<float> member = made_up(tiling, 1, 8);
        BlendingSink sink(folder.path(), {0, with_classes(2, one.tile), one.tile, {{"a", one.tile}}}, tiling);
        hand(sink, tiling.count(), segment, tiles, member);
        CHECK_FALSE(fs::exists(folder / "predictions.npy"));
        sink.finish();
        CAPTURE(dims_text(one.input));
        CHECK(NpyReader(folder / "predictions.npy", NpyType::float32).row_shape() == with_classes(2, one.input));
        CHECK(NpyReader(folder / "predicted.npy", NpyType::int64).row_shape() == one.input);
        CHECK(NpyReader(folder / "members/a.npy", NpyType::float32).row_shape() == one.input);
        std::vector<float> wanted;
        std::vector<float> of_member;
        std::vector<std::int64_t> classes;
        for (std::uint64_t input = 0; input < 3; ++input) {
          const auto blended = plain_blend(tiling, input, 2, tiles);
          const auto decided = plain_classes(blended, 2);
          const auto its_member = plain_blend(tiling, input, 1, member);
          wanted.insert(wanted.end(), blended.begin(), blended.end());
          classes.insert(classes.end(), decided.begin(), decided.end());
          of_member.insert(of_member.end(), its_member.begin(), its_member.end());
        }
        CHECK(all_of<float>(folder / "predictions.npy") == wanted);
        CHECK(all_of<std::int64_t>(folder / "predicted.npy") == classes);
        CHECK(all_of<float>(folder / "members/a.npy") == of_member);
      }
}

TEST_CASE("inputs of several sizes have files of their own, with their folders") {
  const TemporaryFolder folder;
  const Tiling tiling({{4, 4}, 0.5, {}}, {{"a.png", {9, 7}}, {"north/b.tif", {2, 30}}, {"north/c.png", {4, 4}}});
  const std::vector<float> tiles = made_up(tiling, 3, 3);
  ResultForm form{0, Dims{3, 4, 4}, Dims{4, 4}, {}};
  form.masks = true;
  BlendingSink sink(folder.path(), form, tiling);
  hand(sink, tiling.count(), 5, tiles);
  sink.finish();
  for (std::uint64_t input = 0; input < 3; ++input) {
    const std::string name = fs::path(tiling.name_of(input)).replace_extension().string();
    const auto wanted = plain_blend(tiling, input, 3, tiles);
    // NpyReader takes the first axis for that of the rows.
    CHECK(all_of<float>(folder / "predictions" / (name + ".npy")) == wanted);
    CHECK(all_of<std::int64_t>(folder / "predicted" / (name + ".npy")) == plain_classes(wanted, 3));
    CHECK(NpyReader(folder / "predictions" / (name + ".npy"), NpyType::float32).row_shape() ==
          tiling.grid_of(input).input());
    CHECK(fs::exists(folder / "masks" / (name + ".png")));
  }
  CHECK_FALSE(fs::exists(folder / "members"));
}

TEST_CASE("a sink that ends early keeps the inputs whose tiles have all come") {
  const Tiling tiling({{4}, 0.5, {}}, Dims{10}, 3);
  REQUIRE(tiling.grid_of(0).count() == 4);
  const std::vector<float> tiles = made_up(tiling, 1, 3);
  const ResultForm form{0, Dims{4}, {}, {}};
  const TemporaryFolder folder;
  {
    BlendingSink sink(folder.path(), form, tiling);
    hand(sink, 12, 3, tiles, {}, 9);
    sink.finish_partial();
  }
  CHECK(fs::exists(folder / "predictions.partial.npy"));
  auto wanted = plain_blend(tiling, 0, 1, tiles);
  const auto second = plain_blend(tiling, 1, 1, tiles);
  wanted.insert(wanted.end(), second.begin(), second.end());
  CHECK(all_of<float>(folder / "predictions.partial.npy") == wanted);
  {
    BlendingSink sink(folder.path(), form, tiling);
    hand(sink, 12, 3, tiles);
    sink.finish();
  }
  CHECK_FALSE(fs::exists(folder / "predictions.partial.npy"));
  const TemporaryFolder other;
  BlendingSink none(other.path(), form, tiling);
  hand(none, 12, 3, tiles, {}, 3);
  none.finish_partial();
  CHECK(fs::is_empty(other.path()));
}

TEST_CASE("places that no tile predicted are NaN and have no class") {
  const TemporaryFolder folder;
  const Tiling tiling({{4}, 0.5, {}}, Dims{8}, 1);
  std::vector<float> tiles = made_up(tiling, 2, 3);
  std::fill(tiles.begin() + 16, tiles.end(), std::numeric_limits<float>::quiet_NaN());  // the last of three tiles
  BlendingSink sink(folder.path(), {0, Dims{2, 4}, Dims{4}, {}}, tiling);
  hand(sink, 3, 2, tiles);
  sink.finish();
  const auto decided = all_of<std::int64_t>(folder / "predicted.npy");
  CHECK(std::count(decided.begin(), decided.begin() + 4, -1) == 0);
  CHECK(std::count(decided.begin() + 4, decided.end(), -1) == 4);
  CHECK(std::isnan(all_of<float>(folder / "predictions.npy").back()));
}

/// Made-up masks of inputs of these sizes; 9 does not count.
class MadeMasks final : public InputMasks {
 public:
  explicit MadeMasks(const Tiling& tiling) {
    for (std::uint64_t input = 0; input < tiling.inputs(); ++input) {
      std::vector<std::int64_t>& mask = all_.emplace_back(elements_of(tiling.grid_of(input).input()));
      for (std::size_t i = 0; i < mask.size(); ++i) {
        const std::uint64_t number = random_at(50 + input, i) % 4;
        mask[i] = number == 3 ? 9 : static_cast<std::int64_t>(number);
      }
    }
  }

  std::string name() const override { return "masks"; }
  std::uint32_t classes() const override { return 3; }
  void read(std::uint64_t index, std::uint64_t first, std::span<std::int64_t> labels) override {
    std::copy_n(all_[index].begin() + static_cast<std::ptrdiff_t>(first), labels.size(), labels.begin());
  }
  const std::vector<std::int64_t>& of(std::uint64_t input) const { return all_[input]; }

 private:
  std::vector<std::vector<std::int64_t>> all_;
};

void check_figures(const Figures& found, const Tiling& tiling, const MadeMasks& masks, std::span<const float> tiles) {
  MaskMetrics wanted(3, 9);
  for (std::uint64_t input = 0; input < tiling.inputs(); ++input)
    wanted.add(masks.of(input), plain_classes(plain_blend(tiling, input, 3, tiles), 3), input);
  const Figures figures = figures_of(wanted);
  CHECK(found.compared == figures.compared);
  CHECK(found.confusion_matrix == figures.confusion_matrix);
  CHECK(found.value("mean_iou") == figures.value("mean_iou"));
  CHECK(found.value("mean_dice") == figures.value("mean_dice"));
}

TEST_CASE("the blended classes of the ensemble and of each member are compared with the masks of the inputs") {
  // The second has more places per band than are compared at once.
  for (const Tiling& tiling : {Tiling({{4, 5}, 0.5, {}}, {{"a.png", {9, 7}}, {"b.png", {3, 30}}}),
                               Tiling({{70, 50}, 0.25, Blend::mean}, Dims{71, 1100}, 2)}) {
    MadeMasks masks(tiling);
    const Dims output = with_classes(3, tiling.tiles().size);
    const std::vector<float> tiles = made_up(tiling, 3, 3);
    const std::vector<float> member = made_up(tiling, 3, 4);
    for (const bool saved : {false, true}) {
      const TemporaryFolder folder;
      ResultForm form{0, output, tiling.tiles().size, {}};
      if (saved) form.members.push_back({"a", output});
      BlendingSink sink(folder.path(), form, tiling, TileLabels{masks, 9, {output}});
      hand(sink, tiling.count(), 5, tiles, member);
      sink.finish();
      REQUIRE(sink.ensemble());
      check_figures(*sink.ensemble(), tiling, masks, tiles);
      REQUIRE(sink.members().size() == 1);
      check_figures(sink.members()[0], tiling, masks, member);
      CHECK(fs::exists(folder / "members") == saved);
    }
    const TemporaryFolder folder;
    BlendingSink none(folder.path(), {0, {}, {}, {{"a", output}}}, tiling, TileLabels{masks, 9, {output}});
    hand(none, tiling.count(), 5, {}, member);
    CHECK_FALSE(none.ensemble());
    check_figures(none.members().at(0), tiling, masks, member);
  }
}

TEST_CASE("places that no tile predicted are compared with nothing") {
  const TemporaryFolder folder;
  const Tiling tiling({{4}, 0.5, {}}, Dims{8}, 1);
  MadeMasks masks(tiling);
  std::vector<float> tiles = made_up(tiling, 3, 3);
  std::fill(tiles.begin() + 24, tiles.end(), std::numeric_limits<float>::quiet_NaN());  // the last of three tiles
  BlendingSink sink(folder.path(), {0, Dims{3, 4}, Dims{4}, {}}, tiling, TileLabels{masks, {}, {Dims{3, 4}}});
  CHECK(error_of([&] { hand(sink, 3, 3, tiles, tiles); }));  // 9 is no class
  BlendingSink other(folder.path(), {0, Dims{3, 4}, Dims{4}, {}}, tiling, TileLabels{masks, 9, {Dims{3, 4}}});
  hand(other, 3, 3, tiles, tiles);
  CHECK(other.ensemble()->compared ==
        static_cast<std::uint64_t>(4 - std::count(masks.of(0).begin(), masks.of(0).begin() + 4, 9)));
}

TEST_CASE("predictions must have the sizes of a tile, and classes must come before them") {
  const Dims tile{8, 6};
  CHECK_FALSE(error_of([&] { check_tile_output("a", {8, 6}, tile, {}); }));
  CHECK_FALSE(error_of([&] { check_tile_output("a", {3, 8, 6}, tile, 0); }));
  const auto row = error_of([&] { check_tile_output("a", {10}, tile, 0); });
  REQUIRE(row);
  CHECK(row->kind() == ErrorKind::usage);
  CHECK(row->message() == "the predictions of a cannot be put together");
  CHECK(row->detail() == "they are 10, and those of tiles of 8x6 must be 8x6, or classes x 8x6");
  CHECK(error_of([&] { check_tile_output("a", {3, 4, 3}, tile, 0); }));
  CHECK(error_of([&] { check_tile_output("a", {1, 3, 8, 6}, tile, 0); }));
  const auto axis = error_of([&] { check_tile_output("a", {8, 6}, tile, 0); });
  REQUIRE(axis);
  CHECK(axis->message() == "the classes of a are not where tiles have them");
  CHECK(error_of([&] { check_tile_output("a", {3, 8, 6}, tile, 2); }));
}

TEST_CASE("two pictures whose results would be the same file are refused before anything runs") {
  const TemporaryFolder folder;
  const Tiling tiling({{4, 4}, 0.5, {}}, {{"a.png", {4, 4}}, {"a.jpg", {4, 4}}});
  CHECK(error_of([&] {
          BlendingSink(folder.path(), {0, Dims{4, 4}, {}, {}}, tiling);
        })->message() == "the results of a.png and a.jpg would be the same file");
}

}  // namespace
}  // namespace tutti::images
