// The work of a prediction, without workers: what is filled in and what the sink gets.
#include "coordinator/prediction.hpp"

#include <doctest/doctest.h>

#include "tests/common/error_of.hpp"
#include "tests/coordinator/segments.hpp"
#include "tests/support/fake_ensemble.hpp"

namespace tutti::test {
namespace {

constexpr ArenaLayout kArena{2, 4, kShape};

TEST_CASE("segments follow each other and the last is as short as it must be") {
  const auto images = random_images(10);
  ListSource source(images, {});
  ListSink sink;
  const Accumulator accumulator({}, {1.0F});
  const std::vector<std::uint32_t> widths{2};
  Prediction prediction(source, sink, accumulator, widths, true);
  std::vector<float> arena(kArena.bytes() / sizeof(float));
  auto* const base = reinterpret_cast<std::byte*>(arena.data());
  std::vector<std::uint32_t> counts;
  std::vector<float> seen;
  while (prediction.has_more()) {
    counts.push_back(prediction.fill(base, kArena, 1));
    const auto pixels = slot_view(base, kArena, 1, counts.back()).pixels;
    seen.insert(seen.end(), pixels.begin(), pixels.end());
    FinishedSegment finished;
    finished.segment.slot = 1;
    finished.segment.images = counts.back();
    const auto first = static_cast<float>(counts.size());
    finished.channels = {channel_with(kArena, 1, std::vector<float>(2 * counts.back(), first), 2)};
    prediction.deliver(finished);
  }
  CHECK(counts == std::vector<std::uint32_t>{4, 4, 2});
  CHECK(seen == images);
  CHECK(sink.firsts == std::vector<std::uint64_t>{0, 4, 8});
  CHECK(sink.values.size() == 20);
  CHECK(sink.values.back() == 3.0F);
  CHECK(sink.labels.empty());
}

TEST_CASE("labels and every member's own answer reach the sink") {
  ListSource source(random_images(3), {7, 8, 9});
  ListSink sink;
  const Accumulator accumulator({}, {1.0F, 1.0F});
  const std::vector<std::uint32_t> widths{1, 1};
  Prediction prediction(source, sink, accumulator, widths, true);
  std::vector<float> arena(kArena.bytes() / sizeof(float));
  prediction.fill(reinterpret_cast<std::byte*>(arena.data()), kArena, 0);
  FinishedSegment finished;
  finished.segment.images = 3;
  finished.channels = {channel_with(kArena, 0, {1, 2, 3}, 1), channel_with(kArena, 0, {3, 4, 5}, 1)};
  prediction.deliver(finished);
  CHECK(sink.labels == std::vector<std::int64_t>{7, 8, 9});
  CHECK(sink.values == std::vector<float>{2, 3, 4});
  CHECK(sink.members == std::vector<std::vector<float>>{{1, 2, 3}, {3, 4, 5}});
}

TEST_CASE("members of different widths pass where nothing is combined") {
  ListSource source(random_images(1), {});
  ListSink sink;
  const Accumulator accumulator({CombineRule::none, OutputKind::logits, true, false}, {1.0F, 1.0F});
  const std::vector<std::uint32_t> widths{1, 3};
  Prediction prediction(source, sink, accumulator, widths, false);
  std::vector<float> arena(kArena.bytes() / sizeof(float));
  prediction.fill(reinterpret_cast<std::byte*>(arena.data()), kArena, 0);
  FinishedSegment finished;
  finished.segment.images = 1;
  finished.channels = {channel_with(kArena, 0, {1}, 1), channel_with(kArena, 0, {2, 3, 4}, 3)};
  prediction.deliver(finished);
  CHECK(sink.values.empty());
  CHECK(sink.members == std::vector<std::vector<float>>{{1}, {2, 3, 4}});
}

TEST_CASE("images of another shape are refused with both shapes") {
  const ListSource source(random_images(1), {});
  check_shape(source, kShape);
  const auto error = error_of([&] { check_shape(source, {3, 32, 32}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a list has images of 2x3x3, the ensemble takes 3x32x32");
}

}  // namespace
}  // namespace tutti::test
