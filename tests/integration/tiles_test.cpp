// Large inputs through the API: cut into tiles, predicted over real workers and blended. Compared with the files that
// the same tiles give.
#include <doctest/doctest.h>

#include <cstdint>
#include <type_traits>
#include <vector>

#include "common/random.hpp"
#include "images/npy.hpp"
#include "images/npy_reader.hpp"
#include "images/tiles.hpp"
#include "results/blending.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

const Tiles kTiles{{4, 5}, 0.5, Blend::gaussian};
constexpr ImageShape kLargeImage{2, 11, 13};
constexpr std::size_t kLargeCount = 3;

/// Members with masks of 3 classes for tiles of 2 x 4 x 5.
config::EnsembleSpec tile_spec() {
  auto spec = fake_spec(2);
  for (std::size_t rank = 0; rank < 2; ++rank) {
    fake_model(spec, rank).classes = 3;
    fake_model(spec, rank).per_class = {4, 5};
  }
  spec.input.tiles = kTiles;
  spec.input.shape = {2, 4, 5};
  spec.train_input = spec.input;
  spec.save_members = true;
  spec.combine.spread = true;
  return spec;
}

template <class Value>
std::vector<Value> array_of(const std::filesystem::path& file) {
  const images::NpyReader reader(file,
                                 std::is_same_v<Value, float> ? images::NpyType::float32 : images::NpyType::int64);
  std::vector<Value> values(reader.rows() * reader.width());
  reader.read(0, values);
  return values;
}

TEST_CASE("large images through the API are cut and blended to the bytes of a run") {
  const TemporaryFolder folder;
  const auto pixels = random_images(kLargeCount, 5, kLargeImage);
  images::NpyWriter writer(folder / "x.npy", images::NpyType::float32, {kLargeCount, 2, 11, 13});
  writer.write(pixels);
  writer.finish();
  auto spec = tile_spec();
  Ensemble ensemble(published(spec), with_worker());
  const auto source =
      images::tiled(images::open_large_images(folder / "x.npy", images::Layout::nchw), kTiles, 0, kLargeCount);
  images::ResultForm form{source->count(), Dims{3, 4, 5}, Dims{4, 5}, {{"m0", {3, 4, 5}}, {"m1", {3, 4, 5}}}};
  form.spread = Dims{4, 5};
  images::BlendingSink files(folder.path(), form, *images::tiling_of(*source));
  ensemble.run(*source, files);
  files.finish();
  const Images images(std::span<const float>(pixels), kLargeImage);
  for (const Predictions& answer : {ensemble.predict(images), ensemble.submit(images).get()}) {
    CHECK(answer.count == kLargeCount);
    CHECK(answer.shape == Dims{3, 11, 13});
    CHECK(answer.width == 3 * 11 * 13);
    CHECK(answer.values == array_of<float>(folder / "predictions.npy"));
    CHECK(answer.predicted == array_of<std::int64_t>(folder / "predicted.npy"));
    CHECK(answer.spread_shape == Dims{11, 13});
    CHECK(answer.spread == array_of<float>(folder / "spread.npy"));
    REQUIRE(answer.members.size() == 2);
    CHECK(answer.members[1].name == "m1");
    CHECK(answer.members[1].shape == Dims{3, 11, 13});
    CHECK(answer.members[1].values == array_of<float>(folder / "members/m1.npy"));
    CHECK(answer.incomplete.empty());
  }
  CHECK(ensemble.predict(Images(std::span<const float>(), kLargeImage)).count == 0);
  // An image of another size, smaller than a tile.
  const auto small = random_images(2, 6, {2, 3, 7});
  CHECK(ensemble.predict(Images(std::span<const float>(small), {2, 3, 7})).shape == Dims{3, 3, 7});
}

TEST_CASE("bytes and tensors through the API are cut like the float32 of images") {
  auto spec = tile_spec();
  std::vector<std::uint8_t> bytes;
  std::vector<float> floats;
  for (std::size_t i = 0; i < kLargeCount * kLargeImage.elements(); ++i) {
    bytes.push_back(static_cast<std::uint8_t>(random_at(1, i) >> 56));
    floats.push_back(static_cast<float>(bytes.back()) / 255.0F);
  }
  Ensemble ensemble(published(spec), with_worker());
  const Predictions wanted = ensemble.predict(Images(std::span<const float>(floats), kLargeImage));
  CHECK(ensemble.predict(Images(std::span<const std::uint8_t>(bytes), kLargeImage)).values == wanted.values);
  CHECK(ensemble.predict(Samples{{"image", floats, kLargeImage.layout().dims}}).values == wanted.values);
  spec.input.tensors = {{"x", {}, {Dtype::float32, {2, 4, 5}}}};
  spec.train_input = spec.input;
  Ensemble of_tensors(published(spec), with_worker());
  CHECK(of_tensors.predict(Samples{{"x", floats, kLargeImage.layout().dims}}).values == wanted.values);
}

TEST_CASE("what cannot be cut or put together is refused before anything is predicted") {
  auto spec = tile_spec();
  Ensemble ensemble(published(spec), with_worker());
  const std::vector<float> values(3 * 8 * 8);
  auto error = error_of([&] { ensemble.predict(Images(std::span<const float>(values), {3, 8, 8})); });
  REQUIRE(error);
  CHECK(error->message() == "memory, 1 input in tiles of 4x5 has images of 3x4x5, but the ensemble takes 2x4x5");
  error = error_of([&] { ensemble.predict(Images(std::span<const float>(), {})); });
  REQUIRE(error);
  CHECK(error->message() == "images in memory that are cut into tiles need a shape without zeros");
  CHECK(error->detail() == "the shape is 0x0x0");
  CHECK(error->hint() == "give the shape of one image");
  error = error_of([&] { ensemble.predict(Samples{{"image", values, {192}}}); });
  REQUIRE(error);
  CHECK(error->message() == "samples in memory cannot be cut into tiles");
  CHECK(error->detail() ==
        "tiles are cut from one tensor of channels and 1 to 3 axes, and these have image (192 of float32)");
  CHECK(error->hint() == "give such a tensor, or leave 'tiles' out of 'input'");
  error = error_of([&] { ensemble.predict(Samples{{"image", values, {2, 4, 4, 6}}}); });
  REQUIRE(error);
  CHECK(error->message() == "'size' of 'tiles' has 2 numbers, but the inputs have 3 spatial axes");
  for (std::size_t rank = 0; rank < 2; ++rank) fake_model(spec, rank).per_class = {};
  Ensemble of_rows(published(spec), with_worker());
  const auto large = random_images(1, 5, kLargeImage);
  const Images images(std::span<const float>(large), kLargeImage);
  for (const bool waits : {true, false}) {
    error = error_of([&] { waits ? of_rows.predict(images) : of_rows.submit(images).get(); });
    REQUIRE(error);
    CHECK(error->message() == "the predictions of m0 cannot be put together");
  }
}

TEST_CASE("tiles of a segment that was set aside are named and the rest is blended") {
  auto spec = tile_spec();
  spec.segment_images = 4;
  spec.failure.poison_limit = 1;
  spec.failure.back_off = 0.001;
  fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::predict, 0, 77.0F}};
  auto pixels = random_images(1, 5, kLargeImage);
  pixels[0] = 77.0F;  // the first value of the first tile
  Ensemble ensemble(published(spec), with_worker());
  const Predictions answer = ensemble.predict(Images(std::span<const float>(pixels), kLargeImage));
  REQUIRE(answer.incomplete.size() == 1);
  CHECK(answer.incomplete[0].set_aside);
  CHECK(answer.incomplete[0].first == 0);
  CHECK(answer.incomplete[0].count == 4);
  CHECK(answer.predicted.front() == -1);
  CHECK(answer.predicted.back() >= 0);
}

}  // namespace
}  // namespace tutti::test
