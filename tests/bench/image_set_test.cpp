// Images in the memory that all strategies are given.
#include "bench/comparison/image_set.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <vector>

#include "images/sources.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::bench {
namespace {

constexpr ImageShape kShape{1, 3, 3};  // an odd number of values: labels follow at a multiple of 4 bytes

ImageSet random_set(std::uint64_t count, std::uint32_t classes) {
  return ImageSet::read(*images::make_random(count, kShape, classes, 5));
}

std::vector<float> pixels_of(const ImageSet& set) {
  const auto view = std::get<std::span<const float>>(set.view().pixels());
  return {view.begin(), view.end()};
}

TEST_CASE("what was read is what the source holds over several reads") {
  constexpr std::uint64_t kCount = 600;
  const auto source = images::make_random(kCount, kShape, 7, 5);
  const ImageSet set = ImageSet::read(*source);
  REQUIRE(set.count() == kCount);
  CHECK(set.labelled());
  for (const std::uint64_t image : {0U, 255U, 256U, 599U}) {
    std::vector<float> pixels(kShape.elements());
    std::int64_t label = -1;
    source->read(std::span(&image, 1), pixels, std::span(&label, 1));
    const std::vector<float> all = pixels_of(set);
    CHECK(std::equal(pixels.begin(), pixels.end(), all.begin() + static_cast<std::ptrdiff_t>(image * pixels.size())));
    CHECK(set.labels()[image] == label);
  }
}

TEST_CASE("the descriptor holds pixels and then labels") {
  const ImageSet set = random_set(4, 7);
  std::vector<float> pixels(4 * kShape.elements());
  std::vector<std::int64_t> labels(4);
  const auto bytes = static_cast<off_t>(pixels.size() * sizeof(float));
  CHECK(::pread(set.fd(), pixels.data(), pixels.size() * sizeof(float), 0) == bytes);
  CHECK(::pread(set.fd(), labels.data(), labels.size() * sizeof(std::int64_t), bytes) == 32);
  CHECK(pixels == pixels_of(set));
  CHECK(labels == std::vector<std::int64_t>(set.labels().begin(), set.labels().end()));
}

TEST_CASE("the first images are a separate set and no more than there are") {
  const ImageSet set = random_set(4, 7);
  const ImageSet two = set.first(2);
  CHECK(two.count() == 2);
  std::vector<float> begin = pixels_of(set);
  begin.resize(2 * kShape.elements());
  CHECK(begin == pixels_of(two));
  CHECK(two.labels()[1] == set.labels()[1]);
  CHECK(set.first(100).count() == 4);
}

TEST_CASE("without labels there are zeros") {
  const ImageSet set = random_set(2, 0);
  CHECK_FALSE(set.labelled());
  CHECK(set.labels()[1] == 0);
}

TEST_CASE("no images are rejected") {
  const auto error = test::error_of([] { random_set(0, 0); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(test::contains(error->message(), "has no images to measure with"));
  CHECK(test::contains(error->hint(), "input.count"));
}

}  // namespace
}  // namespace tutti::bench
