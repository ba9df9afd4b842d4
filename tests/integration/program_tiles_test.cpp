// Runs over inputs that are cut into tiles: their files, deaths of workers, resumption, and what cannot be put
// together.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "common/random.hpp"
#include "images/npy_reader.hpp"
#include "images/tile_grid.hpp"
#include "results/blending.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

/// Two inputs of 2 x 11 x 14 in tiles of 6x4: 4 x 6 of each.
constexpr std::uint32_t kHeight = 11;
constexpr std::uint32_t kWidth = 14;
const Dims kTile{6, 4};

const std::string kTiled = R"(
members:
  - {name: a, model: {kind: fake, classes: 3, per_class: [6, 4]}}
  - {name: b, model: {kind: fake, classes: 3, per_class: [6, 4]}}
assignment: cpu
combine: {rule: mean, over: logits}
input: {dataset: npy, images: big.npy, tiles: {size: [6, 4], overlap: 0.5}}
segment_images: 5
batch_images: 2
slots: 2
)";

std::vector<float> pixels() {
  std::vector<float> all(std::size_t{2} * 2 * kHeight * kWidth);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = unit_float(random_at(5, i));
  return all;
}

struct Large : Workplace {
  explicit Large(const std::string& yaml = kTiled) : Workplace(yaml) {
    write_array(*this / "big.npy", "<f4", fmt::format("(2, 2, {}, {})", kHeight, kWidth), pixels());
  }
};

template <class Value>
std::vector<Value> all_of(const fs::path& file) {
  const images::NpyReader reader(file,
                                 std::is_same_v<Value, float> ? images::NpyType::float32 : images::NpyType::int64);
  std::vector<Value> values(reader.rows() * reader.width());
  reader.read(0, values);
  return values;
}

/// What a fake member outputs for a tile, as logits: its bias for the class, and the tile's values, over and over.
std::vector<float> naive_logits(std::uint64_t seed, const std::vector<float>& tile) {
  std::vector<float> row(std::size_t{3} * 24);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = unit_float(random_at(seed, i / 24));
  for (std::size_t i = 0; i < tile.size(); ++i) row[i % row.size()] += tile[i];
  return row;
}

/// The mean of both members, blended: 2 x 3 x height x width.
std::vector<float> naive_result() {
  const std::vector<float> all = pixels();
  const images::TileGrid grid({kTile, 0.5, {}}, {kHeight, kWidth});
  const std::vector<float> weights = images::tile_weights(kTile, Blend::gaussian);
  const std::size_t places = std::size_t{kHeight} * kWidth;
  std::vector<float> result;
  for (std::size_t input = 0; input < 2; ++input) {
    std::vector<float> sums(3 * places);
    std::vector<float> weight_sums(places);
    for (std::uint64_t number = 0; number < grid.count(); ++number) {
      const Dims begin = grid.region(number).begin;
      std::vector<float> tile;
      for (std::size_t channel = 0; channel < 2; ++channel)
        for (std::size_t i = 0; i < 24; ++i)
          tile.push_back(all[((input * 2 + channel) * kHeight + begin[0] + i / 4) * kWidth + begin[1] + i % 4]);
      const std::vector<float> a = naive_logits(0, tile);
      const std::vector<float> b = naive_logits(1, tile);
      for (std::size_t i = 0; i < 72; ++i) {
        const std::size_t to = (begin[0] + i % 24 / 4) * kWidth + begin[1] + i % 4;
        sums[i / 24 * places + to] += weights[i % 24] * ((a[i] + b[i]) / 2.0F);
        if (i < 24) weight_sums[to] += weights[i];
      }
    }
    for (std::size_t i = 0; i < sums.size(); ++i) result.push_back(sums[i] / weight_sums[i % places]);
  }
  return result;
}

TEST_CASE("a run over tiles writes one prediction of each input, as a plain loop computes it") {
  const Large place;
  const Finished run(place, {"run", "e.yaml", "-q", "output=r", "save_members=true", "masks=png"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  const images::NpyReader predictions(place / "r/predictions.npy", images::NpyType::float32);
  CHECK(predictions.rows() == 2);
  CHECK(predictions.row_shape() == Dims{3, kHeight, kWidth});
  CHECK(images::NpyReader(place / "r/members/b.npy", images::NpyType::float32).row_shape() == Dims{3, kHeight, kWidth});
  const std::vector<float> found = all_of<float>(place / "r/predictions.npy");
  const std::vector<float> wanted = naive_result();
  REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i] == wanted[i]);
  const std::vector<std::int64_t> classes = all_of<std::int64_t>(place / "r/predicted.npy");
  const std::size_t places = std::size_t{kHeight} * kWidth;
  for (std::size_t i = 0; i < classes.size(); ++i)
    for (std::size_t other = 0; other < 3; ++other)
      REQUIRE(found[(i / places * 3 + static_cast<std::size_t>(classes[i])) * places + i % places] >=
              found[(i / places * 3 + other) * places + i % places]);
  CHECK(place.has("r/masks/0.png"));
  CHECK(place.has("r/masks/1.png"));
  CHECK_FALSE(place.has("r/predictions.csv"));
  CHECK(place.report("r").at_pointer("/counts/images") == 36);
}

TEST_CASE("a killed worker and a resumed run change no byte of what tiles become") {
  const Large place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole", "save_members=true"}).code == 0);
  const Finished killed(place, {"run", "e.yaml", "-q", "output=killed", "save_members=true",
                                "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 7}]"});
  CHECK(killed.code == 0);
  CHECK(place.report("killed").at_pointer("/faults/restarts").as_int64() >= 1);
  CHECK(different_results(place, "killed", "whole").empty());
  REQUIRE(
      Finished(place, {"run", "e.yaml", "-q", "output=cut", "save_members=true", "slots=1", "on_worker_failure=fail",
                       "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 20}]"})
          .code == 1);
  REQUIRE(place.has("cut/journal"));
  CHECK(place.has("cut/tiles/predictions.npy.unfinished"));
  CHECK(place.has("cut/tiles/members/b.npy.unfinished"));
  const Finished resumed(place, {"run", "e.yaml", "-q", "output=cut", "save_members=true", "--resume"});
  CAPTURE(resumed.err());
  CHECK(resumed.code == 0);
  CHECK(place.report("cut").at_pointer("/finished/resumed").as_int64() > 0);
  CHECK(different_results(place, "cut", "whole").empty());
  CHECK_FALSE(place.has("cut/tiles"));
  CHECK_FALSE(place.has("whole/tiles"));
  const Finished other(place, {"run", "e.yaml", "-q", "output=other", "save_members=true", "segment_images=48",
                               "batch_images=1", "slots=1"});
  CHECK(other.code == 0);
  CHECK(different_results(place, "other", "whole").empty());
}

TEST_CASE("rule none blends the tiles of each member") {
  const Large place;
  const Finished run(place, {"run", "e.yaml", "-q", "output=r", "combine.rule=none"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  CHECK_FALSE(place.has("r/predictions.npy"));
  CHECK(images::NpyReader(place / "r/members/a.npy", images::NpyType::float32).row_shape() == Dims{3, kHeight, kWidth});
}

TEST_CASE("skip and limit count inputs, and the plan names the band that is kept in memory") {
  const Large place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=second", "input.skip=1", "input.limit=1"}).code == 0);
  const std::vector<float> whole = all_of<float>(place / "whole/predictions.npy");
  const std::vector<float> second = all_of<float>(place / "second/predictions.npy");
  REQUIRE(second.size() * 2 == whole.size());
  CHECK(std::equal(second.begin(), second.end(), whole.begin() + static_cast<std::ptrdiff_t>(second.size())));
  const Finished plan(place, {"plan", "e.yaml"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "36 x 2x6x4 of npy"));
  CHECK(contains(plan.out(), "1.3 kB  blending of tiles: a band of 84 places x 3 values\n"));
  const Finished none(place, {"run", "e.yaml", "-q", "input.skip=2"});
  CHECK(none.code == 2);
  CHECK(contains(none.err(), "'skip: 2' leaves no images"));
}

TEST_CASE("predictions that do not have the sizes of a tile are refused when the workers are up") {
  const Large place;
  const Finished rows(
      place, {"run", "e.yaml", "-q", "output=r", "members.0.model.per_class=[]", "members.1.model.per_class=[]"});
  CHECK(rows.code == 2);
  CHECK(contains(rows.err(), "the predictions of a cannot be put together"));
  CHECK(contains(rows.err(), "they are 3, and those of tiles of 6x4 must be 6x4, or classes x 6x4"));
  CHECK_FALSE(place.has("r/predictions.npy"));
  const Finished rules(place, {"run", "e.yaml", "-q", "--rules", "mean,vote"});
  CHECK(rules.code == 2);
  CHECK(contains(rules.err(), "--rules cannot evaluate the predictions of 'tiles'"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=saved", "save_members=true"}).code == 0);
  const Finished again(place, {"combine", "saved", "-q", "--rules", "median"});
  CHECK(again.code == 2);
  CHECK(contains(again.err(), "the predictions of 'tiles' cannot be combined again"));
  CHECK(contains(again.err(), "hint: run it with the other rule: tutti run ... combine.rule=median"));
  const Finished masks(place, {"run", "e.yaml", "-q", "combine.rule=none", "masks=png"});
  CHECK(masks.code == 2);
  CHECK(contains(masks.err(), "'masks: png' needs a class for each pixel of an image"));
  const Finished training(place, {"train", "e.yaml", "-q"});
  CHECK(training.code == 2);
  CHECK(contains(training.err(), "members cannot be trained on 'tiles'"));
}

TEST_CASE("Ctrl-C leaves the inputs whose tiles have all come") {
  const Large place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  Program program(Workplace::command({"run", "e.yaml", "output=here", "members.1.model.delay_ms=60", "slots=1"}),
                  place.options());
  // The first input has 18 tiles of 36.
  REQUIRE_FALSE(program.wait_for_line("predict   5").empty());
  program.signal(SIGINT);
  CHECK(program.code() == 128 + SIGINT);
  const std::vector<float> part = all_of<float>(place / "here/predictions.partial.npy");
  const std::vector<float> whole = all_of<float>(place / "whole/predictions.npy");
  REQUIRE(part.size() * 2 == whole.size());
  CHECK(std::equal(part.begin(), part.end(), whole.begin()));
  CHECK_FALSE(place.has("here/predictions.npy"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=here", "--resume"}).code == 0);
  CHECK(different_results(place, "here", "whole").empty());
}

TEST_CASE("the pictures of a folder have results of their own, in their sizes, and a second run removes them") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 3, per_class: [9, 9]}}
assignment: cpu
input: {dataset: folder, path: scans, tiles: {size: 9, overlap: 0.25, blend: mean}}
masks: png
segment_images: 7
output: out
)");
  fs::create_directories(place / "scans/north");
  fs::create_directories(place / "scans/south");
  fs::copy_file(test::in_sources("tests/images/data/encoded/plain.jpg"), place / "scans/north/1.jpg");
  fs::copy_file(test::in_sources("tests/images/data/encoded/alpha.png"), place / "scans/south/2.png");
  const Finished run(place, {"run", "e.yaml", "-q", "save_members=true"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  for (const char* file : {"predictions/north/1.npy", "predictions/south/2.npy", "predicted/north/1.npy",
                           "members/a/south/2.npy", "masks/north/1.png"})
    CHECK(place.has(std::string("out/") + file));
  // One member: the ensemble is its predictions.
  CHECK(place.read("out/predictions/north/1.npy") == place.read("out/members/a/north/1.npy"));
  const Finished again(place, {"run", "e.yaml", "-q", "masks=none", "input.limit=1"});
  CHECK(again.code == 0);
  CHECK(place.has("out/predictions/north/1.npy"));
  for (const char* gone : {"predictions/south", "predicted/south", "members", "masks"})
    CHECK_FALSE(place.has(std::string("out/") + gone));
}

}  // namespace
}  // namespace tutti::test
