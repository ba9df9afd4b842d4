// Several planes of each picture: made from one decode they are what each alone would be.
#include "images/planes.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/resample.hpp"
#include "images/codecs.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/oriented.hpp"
#include "tests/images/reading.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

const std::string kFiles = test::in_sources("tests/images/data/encoded/");
constexpr Resize kWhole{ResizeRule::shorter, 12, 12, 12, 12, Interpolation::bicubic};
constexpr Resize kSquashed{ResizeRule::exact, 9, 7, 0, 0, Interpolation::bilinear};
constexpr Resize kCentre{ResizeRule::none, 0, 0, 5, 8};

std::string text_of(const std::string& name) {
  std::ifstream in(name, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Pictures of 33x21.
struct Pictures : TemporaryFolder {
  Pictures() {
    for (const char* name : {"a/plain.jpg", "a/alpha.png", "b/grey.jpg", "b/sixteen.png"})
      put(name, text_of(kFiles + (name + 2)));
  }
  void put(const std::string& name, const std::string& content) const {
    fs::create_directories((*this / name).parent_path());
    std::ofstream(*this / name, std::ios::binary) << content;
  }
  std::unique_ptr<images::PlaneSource> open(const Resize& resize = kWhole,
                                            const images::FolderReading& reading = {{2}}) const {
    return images::make_folder(path(), resize, reading);
  }
};

using Bytes = std::vector<std::uint8_t>;

/// The planes, and the labels after them as bytes.
std::vector<Bytes> planes_of(images::PlaneSource& source, const std::vector<std::uint64_t>& indices) {
  std::vector<Bytes> planes;
  std::vector<std::span<std::uint8_t>> places;
  for (const ImageShape& shape : source.plane_shapes()) planes.emplace_back(indices.size() * shape.elements(), 7);
  for (Bytes& plane : planes) places.emplace_back(plane);
  std::vector<std::int64_t> labels(source.labelled() ? indices.size() : 0);
  source.read_planes(indices, places, labels);
  planes.emplace_back(labels.begin(), labels.end());
  return planes;
}

Bytes bytes_of(Source& source, const std::vector<std::uint64_t>& indices) {
  Bytes bytes(indices.size() * source.shape().elements());
  source.read_bytes(indices, bytes, {});
  return bytes;
}

TEST_CASE("the planes of one decode are what a folder of each resize gives") {
  const Pictures folder;
  const auto source = folder.open();
  const std::vector<std::uint64_t> order{2, 0, 3, 1, 1};
  CHECK(source->plane_shapes() == std::vector<ImageShape>{{3, 12, 12}});
  CHECK(planes_of(*source, order)[0] == bytes_of(*source, order));
  source->choose_planes(std::vector<Resize>{{}, kSquashed, kCentre});
  CHECK(source->plane_shapes() == std::vector<ImageShape>{{3, 12, 12}, {3, 9, 7}, {3, 5, 8}});
  const auto planes = planes_of(*source, order);
  CHECK(planes[0] == bytes_of(*folder.open(), order));
  CHECK(planes[1] == bytes_of(*folder.open(kSquashed), order));
  CHECK(planes[2] == bytes_of(*folder.open({ResizeRule::shorter, 12, 12, 5, 8}), order));
  CHECK(planes[3] == Bytes{1, 0, 1, 0, 0});
  CHECK(bytes_of(*source, order) == planes[0]);  // its own plane stays
}

TEST_CASE("what is around a folder leaves its planes as they are") {
  const Pictures folder;
  auto around =
      images::with_classes(images::without_first(images::limited(folder.open(), 3), 1), {"x", "b", "a"}, {2, 1});
  images::PlaneSource* const source = images::decoding(*around);
  REQUIRE(source != nullptr);
  source->choose_planes(std::vector<Resize>{kSquashed, {}});
  CHECK(source->plane_shapes() == std::vector<ImageShape>{{3, 9, 7}, {3, 12, 12}});
  const auto planes = planes_of(*source, {1, 0});
  CHECK(planes[0] == bytes_of(*folder.open(kSquashed), {2, 1}));
  CHECK(planes[1] == bytes_of(*folder.open(), {2, 1}));
  CHECK(planes[2] == Bytes{1, 2});
  const auto normalised = images::normalised(folder.open(), std::vector<float>{1}, {});
  CHECK(images::decoding(*normalised) == nullptr);
  CHECK(images::decoding(*images::limited(images::make_digits(images::Split::test), 3)) == nullptr);
}

TEST_CASE("images in memory are made into planes like decoded pictures") {
  constexpr ImageShape kShape{3, 20, 31};
  constexpr std::size_t kCount = 19;
  Bytes pixels;
  for (std::size_t i = 0; i < kCount * kShape.elements(); ++i)
    pixels.push_back(static_cast<std::uint8_t>(i * i / 5 + i));
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < kCount; ++i) labels.push_back(static_cast<std::int64_t>(2 * i));
  const auto memory = images::make_memory(Images(std::span<const std::uint8_t>(pixels), kShape), labels);
  const auto source = images::as_pictures(*memory);
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = kCount; i-- > 0;) order.push_back(i);
  const auto expected = [&](const Resize& resize) {
    Resampler resampler(resize, kShape);
    Bytes all;
    for (const std::uint64_t index : order) {
      Bytes one(resampler.shape().elements());
      resampler.apply(std::span<const std::uint8_t>(pixels).subspan(index * kShape.elements(), kShape.elements()),
                      std::span<std::uint8_t>(one));
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  };
  for (const bool with_whole : {true, false}) {
    std::vector<Resize> asked{kSquashed, {ResizeRule::shorter, 6, 6}};
    if (with_whole) asked.insert(asked.begin() + 1, Resize{});
    source->choose_planes(asked);
    const auto planes = planes_of(*source, order);
    CHECK(planes.front() == expected(kSquashed));
    CHECK(planes[asked.size() - 1] == expected({ResizeRule::shorter, 6, 6, 6, 6}));
    if (with_whole) CHECK(planes[1] == expected({}));
    CHECK(planes.back() == Bytes{36, 34, 32, 30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0});
  }
}

TEST_CASE("a crop that is larger than images in memory is rejected") {
  const Bytes pixels(3 * 4 * 5);
  const auto memory = images::make_memory(Images(std::span<const std::uint8_t>(pixels), {3, 4, 5}));
  const auto source = images::as_pictures(*memory);
  const auto error = error_of([&] { source->choose_planes(std::vector<Resize>{kCentre}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "memory has images of 3x4x5, which are smaller than the 'crop' of a member, 5x8");
  CHECK(contains(error->hint(), "add 'resize'"));
}

TEST_CASE("pictures are turned if that is wanted and counted once if not") {
  const std::string plain = text_of(kFiles + "plain.jpg");
  const Pictures folder;
  folder.put("a/z6.jpg", oriented_jpeg(plain, 6));
  folder.put("b/z3.jpg", oriented_jpeg(plain, 3));
  folder.put("b/z1.jpg", oriented_jpeg(plain, 1));
  const std::vector<Resize> asked{{ResizeRule::shorter, 21, 21, 33, 21}, {ResizeRule::exact, 33, 21}};
  const auto ignoring = folder.open();
  ignoring->choose_planes(asked);
  CHECK(ignoring->take_unturned() == 0);
  const auto stored = planes_of(*ignoring, all_of(*ignoring));
  planes_of(*ignoring, all_of(*ignoring));
  CHECK(ignoring->take_unturned() == 2);
  CHECK(ignoring->take_unturned() == 0);
  const auto around = images::limited(folder.open(), 3);
  bytes_of(*around, {2});
  CHECK(images::decoding(*around)->take_unturned() == 1);

  const auto turning = folder.open(kWhole, {{2, false, Orientation::exif}});
  turning->choose_planes(asked);
  const auto upright = planes_of(*turning, all_of(*turning));
  CHECK(turning->take_unturned() == 0);
  // Files: a/alpha a/plain a/z6 b/grey b/sixteen b/z1 b/z3. Turned by 90 degrees, z6 is 33 high and 21 wide, as it is.
  images::DecodedImage image;
  images::decode(std::as_bytes(std::span(plain)), {}, image);
  const std::size_t elements = 3 * 33 * 21;
  for (std::size_t y = 0; y < 33; ++y)
    for (std::size_t x = 0; x < 21; ++x)
      for (std::size_t channel = 0; channel < 3; ++channel)
        REQUIRE(upright[1][2 * elements + channel * 33 * 21 + y * 21 + x] ==
                image.bytes[3 * ((20 - x) * 33 + y) + channel]);
  const auto picture = [&](const std::vector<Bytes>& planes, std::size_t index) {
    const auto begin = planes[1].begin() + static_cast<std::ptrdiff_t>(index * elements);
    return Bytes(begin, begin + static_cast<std::ptrdiff_t>(elements));
  };
  CHECK(picture(upright, 2) != picture(stored, 2));
  CHECK(picture(upright, 6) != picture(stored, 6));
  for (const std::size_t other : {0U, 1U, 3U, 4U, 5U}) CHECK(picture(upright, other) == picture(stored, other));
}

TEST_CASE("a JPEG that is turned may be decoded at a part of its size") {
  const TemporaryFolder folder;
  std::ofstream(folder / "1.jpg", std::ios::binary) << oriented_jpeg(text_of(kFiles + "plain.jpg"), 8);
  const auto bytes_for = [&](const Resize& resize, bool scaling) {
    return bytes_of(*images::make_folder(folder.path(), resize, {{1, scaling, Orientation::exif}}), {0});
  };
  // Upright it is 33 high and 21 wide: half of that is still twice 8 x 5, but less than twice 5 x 8.
  CHECK(bytes_for({ResizeRule::exact, 8, 5}, true) != bytes_for({ResizeRule::exact, 8, 5}, false));
  CHECK(bytes_for({ResizeRule::exact, 5, 8}, true) == bytes_for({ResizeRule::exact, 5, 8}, false));
}

}  // namespace
}  // namespace tutti::test
