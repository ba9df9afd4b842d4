// Members that see one stream of images differently: over real workers, compared with the same computation in plain
// loops.
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/resample.hpp"
#include "common/wire/arena.hpp"
#include "images/sources.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/integration/wide_pictures.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

constexpr ImageShape kLarge{2, 6, 9};
constexpr std::size_t kCount = 19;
const MemberInput kSmaller{{ResizeRule::shorter, 3, 3, 3, 3, Interpolation::bicubic}, {0.5F, 0.25F}, {0.5F, 2.0F}};

std::vector<std::uint8_t> made_bytes() {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < kCount * kLarge.elements(); ++i)
    bytes.push_back(static_cast<std::uint8_t>(i * i * 31 / 8));
  return bytes;
}

/// An .npy file of uint8, which NpyWriter does not write.
void write_npy(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (19, 2, 6, 9), }";
  header.resize(128 - 10 - 1, ' ');
  header += '\n';
  std::ofstream out(path, std::ios::binary);
  out << "\x93NUMPY" << '\x01' << '\0' << '\x76' << '\0' << header;
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

/// Member 0 sees the images unchanged, member 1 as kSmaller changes them.
config::EnsembleSpec two_views() {
  auto spec = fake_spec(2);
  spec.members[1].input = kSmaller;
  spec.input.shape = kLarge;
  spec.train_input = spec.input;
  spec.save_members = true;
  return spec;
}

/// What member 1 sees of bytes (resized as bytes) or of float32.
template <class Value>
std::vector<float> seen_by_second(const std::vector<Value>& images) {
  Resampler resampler(kSmaller.resize, kLarge);
  std::vector<float> seen;
  for (std::size_t image = 0; image < kCount; ++image) {
    std::vector<Value> resized(2 * 3 * 3);
    resampler.apply(std::span<const Value>(images).subspan(image * kLarge.elements(), kLarge.elements()),
                    std::span<Value>(resized));
    for (std::size_t i = 0; i < resized.size(); ++i) {
      const float value = static_cast<float>(resized[i]) / (sizeof(Value) == 1 ? 255.0F : 1.0F);
      seen.push_back((value - kSmaller.mean[i / 9]) / kSmaller.std[i / 9]);
    }
  }
  return seen;
}

std::vector<float> as_floats(const std::vector<std::uint8_t>& bytes) {
  std::vector<float> floats;
  for (const std::uint8_t byte : bytes) floats.push_back(static_cast<float>(byte) / 255.0F);
  return floats;
}

std::vector<float> answer_of(config::EnsembleSpec spec, std::size_t rank, const std::vector<float>& images) {
  spec.input.shape = rank == 1 ? kShape : kLarge;
  return naive_answer(spec, rank, images);
}

TEST_CASE("members see the bytes of one arena each in its own way") {
  const TemporaryFolder folder;
  const auto bytes = made_bytes();
  write_npy(folder / "x.npy", bytes);
  auto spec = two_views();
  spec.input.dataset = config::Dataset::npy;
  spec.input.images = folder / "x.npy";
  for (const std::uint32_t batch : {1U, 3U, 8U}) {
    spec.batch_images = batch;
    Ensemble ensemble(published(spec), with_worker());
    CHECK(ensemble.status().arena_bytes == ArenaLayout{2, 8, kLarge, Dtype::uint8}.bytes());
    ListSink sink;
    const auto source = images::make_npy(folder / "x.npy", {}, images::Layout::nchw, 0);
    ensemble.run(*source, sink);
    CHECK(sink.members[0] == answer_of(spec, 0, as_floats(bytes)));
    CHECK(sink.members[1] == answer_of(spec, 1, seen_by_second(bytes)));
    CHECK(ensemble.status().input_bytes_copied == kCount * kLarge.elements());
    const Predictions again = ensemble.predict(Images(std::span<const std::uint8_t>(bytes), kLarge));
    CHECK(again.values == sink.values);
    const std::vector<float> floats = as_floats(bytes);
    const auto error = error_of([&] { ensemble.predict(Images(std::span<const float>(floats), kLarge)); });
    REQUIRE(error);
    CHECK(error->message() == "memory gives float32, but the ensemble takes images as bytes");
  }
}

TEST_CASE("members see the float32 of one arena each in its own way") {
  const auto spec = two_views();
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(kCount, 5, kLarge);
  const Predictions answer = ensemble.predict(Images(std::span<const float>(images), kLarge));
  REQUIRE(answer.members.size() == 2);
  CHECK(answer.members[0].values == answer_of(spec, 0, images));
  CHECK(answer.members[1].values == answer_of(spec, 1, seen_by_second(images)));
}

TEST_CASE("a worker that is replaced sees the images like the one before it") {
  auto spec = two_views();
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 4}};
  spec.failure.back_off = 0.001;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(kCount, 5, kLarge);
  CHECK(ensemble.predict(Images(std::span<const float>(images), kLarge)).members[1].values ==
        answer_of(spec, 1, seen_by_second(images)));
  CHECK(ensemble.status().faults.deaths >= 1);
}

TEST_CASE("batches are measured over bytes too") {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", made_bytes());
  auto spec = two_views();
  spec.input.dataset = config::Dataset::npy;
  spec.input.images = folder / "x.npy";
  spec.measure_batch_images = true;
  Ensemble ensemble(published(spec), with_worker());
  for (const MemberStatus& member : ensemble.status().members) CHECK(member.batch_images_measured);
}

TEST_CASE("members see pictures each resized once from the file whatever another member sees") {
  const WidePictures folder;
  auto spec = over_pictures(folder.path());
  for (const std::uint32_t batch : {1U, 3U, 8U}) {
    spec.batch_images = batch;
    Ensemble ensemble(published(spec), with_worker());
    CHECK(ensemble.status().arena_bytes ==
          ArenaLayout{2, 8, {{Dtype::uint8, {3, 7, 8}}, {Dtype::uint8, {3, 5, 6}}}}.bytes());
    ListSink sink;
    const auto source = images::make_folder(folder.path(), kShorter, {{2}});
    ensemble.run(*source, sink);
    for (std::size_t rank = 0; rank < 3; ++rank) CHECK(sink.members[rank] == answer_to_pictures(spec, rank));
    CHECK(sink.labels == std::vector<std::int64_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1});
  }
}

TEST_CASE("a replaced worker sees the plane of the one before it") {
  const WidePictures folder;
  auto spec = over_pictures(folder.path());
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 3}};
  spec.failure.back_off = 0.001;
  Ensemble ensemble(published(spec), with_worker());
  ListSink sink;
  const auto source = images::make_folder(folder.path(), kShorter, {{2}});
  ensemble.run(*source, sink);
  for (std::size_t rank = 0; rank < 3; ++rank) CHECK(sink.members[rank] == answer_to_pictures(spec, rank));
  CHECK(ensemble.status().faults.deaths >= 1);
}

TEST_CASE("batches are measured over planes too") {
  const WidePictures folder;
  auto spec = over_pictures(folder.path());
  spec.measure_batch_images = true;
  Ensemble ensemble(published(spec), with_worker());
  for (const MemberStatus& member : ensemble.status().members) CHECK(member.batch_images_measured);
  ListSink sink;
  const auto source = images::make_folder(folder.path(), kShorter, {{2}});
  ensemble.run(*source, sink);
  for (std::size_t rank = 0; rank < 3; ++rank) CHECK(sink.members[rank] == answer_to_pictures(spec, rank));
}

TEST_CASE("images through the API are pictures for the members that resize") {
  const WidePictures folder;
  auto spec = over_pictures(folder.path());
  spec.members[0].input = spec.members[2].input = MemberInput{kShorter, {}, {}};
  Ensemble ensemble(published(spec), with_worker());
  constexpr ImageShape kPicture{3, 14, 25};
  std::vector<std::uint8_t> pictures;
  for (std::size_t i = 0; i < 11 * kPicture.elements(); ++i) pictures.push_back(static_cast<std::uint8_t>(i * i / 3));
  const auto seen = [&](const Resize& resize) {
    Resampler resampler(resize, kPicture);
    std::vector<float> all;
    std::vector<std::uint8_t> one(resampler.shape().elements());
    for (std::size_t image = 0; image < 11; ++image) {
      resampler.apply(std::span<const std::uint8_t>(pictures).subspan(image * kPicture.elements(), kPicture.elements()),
                      std::span<std::uint8_t>(one));
      const std::vector<float> floats = as_floats(one);
      all.insert(all.end(), floats.begin(), floats.end());
    }
    return all;
  };
  const Images images(std::span<const std::uint8_t>(pictures), kPicture);
  for (const Predictions& answer : {ensemble.predict(images), ensemble.submit(images).get()})
    for (std::size_t rank = 0; rank < 3; ++rank) {
      auto alone = spec;
      alone.input.shape = rank == 1 ? ImageShape{3, 5, 6} : ImageShape{3, 7, 8};
      CHECK(answer.members[rank].values == naive_answer(alone, rank, seen(rank == 1 ? kSquashed : kShorter)));
    }
}

TEST_CASE("members are trained on their planes") {
  const WidePictures folder;
  const TemporaryFolder weights;
  // The loss of a fake member depends on what it saw: alone on one plane it learns the same as beside another.
  const auto losses = [&](const std::vector<std::size_t>& ranks) {
    const auto whole = over_pictures(folder.path());
    auto spec = whole;
    spec.members.clear();
    for (const std::size_t rank : ranks) spec.members.push_back(whole.members[rank]);
    Options options = with_worker();
    options.training = true;
    Ensemble ensemble(published(spec), options);
    const auto source = images::make_folder(folder.path(), kShorter, {{2}});
    std::vector<double> found(ranks.size());
    ensemble.train(*source, weights.path(), [&](const EpochResult& result) { found[result.member] = result.loss; });
    return found;
  };
  const auto together = losses({0, 1, 2});
  CHECK(losses({0}) == std::vector<double>{together[0]});
  CHECK(losses({1}) == std::vector<double>{together[1]});
  CHECK(together[0] != together[1]);
}

TEST_CASE("a run says how many pictures were not turned by their orientation") {
  const WidePictures folder;
  std::filesystem::copy_file(test::in_sources("tests/images/data/encoded/turned.jpg"), folder / "b" / "turned.jpg");
  const auto spec = over_pictures(folder.path());
  Ensemble ensemble(published(spec), with_worker());
  const auto said = [&](Orientation orientation) {
    const Lines lines;
    ListSink sink;
    const auto source = images::make_folder(folder.path(), kShorter, {{2, false, orientation}});
    ensemble.run(*source, sink);
    return lines.with("orientation");
  };
  CHECK(said(Orientation::ignore) ==
        std::vector<std::string>{"1 picture of folder " + folder.path().string() +
                                 " has an EXIF orientation, which was not applied ('orientation: exif' turns them)"});
  CHECK(said(Orientation::exif).empty());
}

}  // namespace
}  // namespace tutti::test
