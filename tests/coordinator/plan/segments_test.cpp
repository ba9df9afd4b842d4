// The segment that is chosen if the description names none.
#include "coordinator/plan/segments.hpp"

#include <doctest/doctest.h>

namespace tutti::test {
namespace {

config::EnsembleSpec open_spec(std::uint32_t batch = 32) {
  config::EnsembleSpec spec;
  spec.choose_segment_images = true;
  spec.batch_images = batch;
  return spec;
}

InputForm form(std::optional<std::uint64_t> images, ImageShape shape = {3, 32, 32}, Dtype pixels = Dtype::float32) {
  return {shape, images, pixels};
}

TEST_CASE("many small images are cut into segments of 500") {
  CHECK(choose_segment(open_spec(), form(60'000)) == 500);
  CHECK(choose_segment(open_spec(), form({})) == 500);
}

TEST_CASE("few images are cut into about eight segments of whole batches") {
  CHECK(choose_segment(open_spec(), form(60)) == 32);
  CHECK(choose_segment(open_spec(), form(360)) == 64);
  CHECK(choose_segment(open_spec(4), form(60)) == 8);
  CHECK(choose_segment(open_spec(), form(0)) == 32);
  CHECK(choose_segment(open_spec(1000), form(60)) == 500);  // a batch never crosses a segment
}

TEST_CASE("large images are cut into segments of 64 MiB and at least one batch") {
  const ImageShape large{3, 224, 224};
  CHECK(choose_segment(open_spec(), form({}, large)) == 96);
  CHECK(choose_segment(open_spec(), form(100'000, large, Dtype::uint8)) == 416);
  CHECK(choose_segment(open_spec(), form({}, {3, 4096, 4096})) == 32);
}

TEST_CASE("the largest batch that is measured on a CPU fits") {
  config::EnsembleSpec spec = open_spec();
  spec.measure_batch_images = true;
  CHECK(choose_segment(spec, form(60)) == 128);
}

TEST_CASE("a segment that is written stays and in training the number of images does not count") {
  config::EnsembleSpec written = open_spec();
  written.choose_segment_images = false;
  CHECK(with_segment(written, form(60), false).segment_images == 500);
  const config::EnsembleSpec chosen = with_segment(open_spec(), form(60), false);
  CHECK(chosen.segment_images == 32);
  CHECK_FALSE(chosen.choose_segment_images);
  CHECK(with_segment(open_spec(), form(60), true).segment_images == 500);
}

TEST_CASE("the segment does not depend on the number of slots") {
  config::EnsembleSpec spec = open_spec();
  spec.slots = 1;
  CHECK(choose_segment(spec, form(360)) == 64);
}

}  // namespace
}  // namespace tutti::test
