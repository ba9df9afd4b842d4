// The work of a prediction, without workers: what is filled in and what the sink gets.
#include "coordinator/api/prediction.hpp"

#include "coordinator/plan/input.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/common/error_of.hpp"
#include "tests/coordinator/pool/segments.hpp"
#include "tests/support/fake_ensemble.hpp"

namespace tutti::test {
namespace {

const ArenaLayout kArena{2, 4, kShape};

ByRank<Ledger::Row> rows(const ByRank<bool>& present, std::uint32_t images) {
  ByRank<Ledger::Row> rows(present.size());
  for (const Rank rank : present.ids()) {
    rows[rank].asked = true;
    rows[rank].present = present[rank];
    rows[rank].images = images;
  }
  return rows;
}

TEST_CASE("segments follow each other and the last is as short as it must be") {
  const auto images = random_images(10);
  ListSource source(images, {});
  ListSink sink;
  const Accumulator accumulator({}, {1.0F});
  Prediction prediction(source, sink, lineup_of(accumulator, {{2}}, ClassAxis::of_row(2)));
  std::vector<float> arena(kArena.bytes() / sizeof(float));
  auto* const base = reinterpret_cast<std::byte*>(arena.data());
  std::vector<std::uint32_t> counts;
  std::vector<float> seen;
  while (prediction.has_more()) {
    counts.push_back(prediction.fill(base, kArena, 1));
    const auto pixels = slot_view(base, kArena, 1, counts.back()).floats();
    seen.insert(seen.end(), pixels.begin(), pixels.end());
    CHECK(slot_view(base, kArena, 1, counts.back()).numbers.front() == 4 * (counts.size() - 1));
    FinishedSegment finished;
    finished.segment.slot = 1;
    finished.segment.images = counts.back();
    finished.segment.rows = rows({true}, finished.segment.images);
    const auto first = static_cast<float>(counts.size());
    finished.places = {{channel_with(kArena, 1, std::vector<float>(2 * counts.back(), first), 2)}};
    prediction.deliver(finished);
  }
  CHECK(counts == std::vector<std::uint32_t>{4, 4, 2});
  CHECK(seen == images);
  CHECK(sink.firsts == std::vector<std::uint64_t>{0, 4, 8});
  CHECK(sink.values.size() == 20);
  CHECK(sink.values.back() == 3.0F);
  CHECK(sink.labels.empty());
}

TEST_CASE("labels and the output of every member reach the sink") {
  ListSource source(random_images(3), {7, 8, 9});
  ListSink sink;
  const Accumulator accumulator({}, {1.0F, 1.0F});
  Prediction prediction(source, sink, lineup_of(accumulator, {{1}, {1}}, ClassAxis::of_row(1)));
  std::vector<float> arena(kArena.bytes() / sizeof(float));
  prediction.fill(reinterpret_cast<std::byte*>(arena.data()), kArena, 0);
  FinishedSegment finished;
  finished.segment.images = 3;
  finished.segment.rows = rows({true, true}, finished.segment.images);
  finished.places = {{channel_with(kArena, 0, {1, 2, 3}, 1)}, {channel_with(kArena, 0, {3, 4, 5}, 1)}};
  prediction.deliver(finished);
  CHECK(sink.labels == std::vector<std::int64_t>{7, 8, 9});
  CHECK(sink.values == std::vector<float>{2, 3, 4});
  CHECK(sink.members == std::vector<std::vector<float>>{{1, 2, 3}, {3, 4, 5}});
}

TEST_CASE("members of different widths are accepted if nothing is combined") {
  ListSource source(random_images(1), {});
  ListSink sink;
  const Accumulator accumulator({CombineRule::none, OutputKind::logits, true, false}, {1.0F, 1.0F});
  Prediction prediction(source, sink, lineup_of(accumulator, {{1}, {3}}, std::nullopt));
  std::vector<float> arena(kArena.bytes() / sizeof(float));
  prediction.fill(reinterpret_cast<std::byte*>(arena.data()), kArena, 0);
  FinishedSegment finished;
  finished.segment.images = 1;
  finished.segment.rows = rows({true, true}, finished.segment.images);
  finished.places = {{channel_with(kArena, 0, {1}, 1)}, {channel_with(kArena, 0, {2, 3, 4}, 3)}};
  prediction.deliver(finished);
  CHECK(sink.values.empty());
  CHECK(sink.members == std::vector<std::vector<float>>{{1}, {2, 3, 4}});
}

TEST_CASE("a call is answered by the members of its lineup in their order and with their weights") {
  ListSource source(random_images(1), {});
  ListSink sink;
  Lineup lineup = whole_lineup(Accumulator({CombineRule::weighted, OutputKind::logits, true, false}, {3.0F, 1.0F}), {},
                               ClassAxis::of_row(1));
  lineup.members = {{Rank(3), {1}}, {Rank(1), {1}}};
  Prediction prediction(source, sink, std::make_shared<const Lineup>(std::move(lineup)));
  std::vector<float> arena(kArena.bytes() / sizeof(float));
  prediction.fill(reinterpret_cast<std::byte*>(arena.data()), kArena, 0);
  FinishedSegment finished;
  finished.segment.images = 1;
  // Rank 0 left before the call, rank 2 is of another lineup, and rank 4 came while the segment was in flight.
  finished.segment.rows = rows({false, true, false, true, false}, finished.segment.images);
  finished.places = {{}, {channel_with(kArena, 0, {4}, 1)}, {}, {channel_with(kArena, 0, {8}, 1)}};
  prediction.deliver(finished);
  CHECK(sink.members == std::vector<std::vector<float>>{{8}, {4}});
  CHECK(sink.values == std::vector<float>{7});
}

/// Two segments, of 4 and 3 images, of three members; the sink keeps the result of the second.
struct Lossy {
  explicit Lossy(CombineRule rule = CombineRule::mean)
      : accumulator({rule, OutputKind::probabilities, true, false}, {1.0F, 2.0F, 4.0F}),
        prediction(source, sink,
                   lineup_of(accumulator, {{2}, {2}, {2}},
                             rule == CombineRule::none ? std::nullopt : std::optional(ClassAxis::of_row(2)))),
        arena(kArena.bytes() / sizeof(float)) {
    prediction.fill(reinterpret_cast<std::byte*>(arena.data()), kArena, 0);
    prediction.fill(reinterpret_cast<std::byte*>(arena.data()), kArena, 1);
  }

  /// Delivers outputs of the members present, whose values are all 1, 2 or 3; the others have no channel.
  void deliver(SlotId slot, std::uint32_t images, const ByRank<bool>& present, bool set_aside = false) {
    FinishedSegment finished;
    finished.segment.slot = slot;
    finished.segment.images = images;
    finished.segment.set_aside = set_aside;
    finished.segment.rows = rows(present, finished.segment.images);
    for (const Rank rank : present.ids())
      finished.places.push_back(
          {present[rank] ? channel_with(kArena, slot.value(),
                                        std::vector<float>(2 * images, static_cast<float>(rank.value() + 1)), 2)
                         : nullptr});
    prediction.deliver(finished);
  }

  struct LastSink : Sink {
    void write(const SegmentResult& result) override {
      first = result.first;
      values.assign(result.values.begin(), result.values.end());
      predicted.assign(result.predicted.begin(), result.predicted.end());
      set_aside = result.set_aside;
      members_present = result.members_present();
      present.clear();
      members.clear();
      for (const MemberSegmentResult& member : result.members) {
        present.push_back(member.present);
        members.emplace_back(member.values.begin(), member.values.end());
      }
    }
    std::uint64_t first = 0;
    std::vector<float> values;
    std::vector<std::int64_t> predicted;
    bool set_aside = false;
    std::uint32_t members_present = 0;
    std::vector<bool> present;
    std::vector<std::vector<float>> members;
  };

  ListSource source{random_images(7), {}};
  LastSink sink;
  Accumulator accumulator;
  Prediction prediction;
  std::vector<float> arena;
};

bool all_nan(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); });
}

TEST_CASE("a segment is combined from the members that are present and the others are NaN") {
  Lossy lossy(CombineRule::weighted);
  lossy.deliver(0, 4, {true, true, true});
  CHECK(lossy.sink.values == std::vector<float>(8, 17.0F / 7.0F));
  CHECK(lossy.sink.members_present == 3);
  lossy.deliver(1, 3, {false, true, false});
  CHECK(lossy.sink.first == 4);
  CHECK(lossy.sink.values == std::vector<float>(6, 2.0F));
  CHECK(lossy.sink.predicted == std::vector<std::int64_t>{0, 0, 0});
  CHECK(lossy.sink.present == std::vector<bool>{false, true, false});
  CHECK(lossy.sink.members_present == 1);
  CHECK_FALSE(lossy.sink.set_aside);
  CHECK(lossy.sink.members[0].size() == 6);
  CHECK(all_nan(lossy.sink.members[0]));
  CHECK(lossy.sink.members[1] == std::vector<float>(6, 2.0F));
  CHECK(lossy.sink.members[2].size() == 6);
  CHECK(all_nan(lossy.sink.members[2]));
}

TEST_CASE("a segment that was set aside has no combined result but the members' outputs that arrived") {
  Lossy lossy;
  lossy.deliver(0, 4, {true, false, true}, true);
  CHECK(lossy.sink.set_aside);
  CHECK(lossy.sink.values.size() == 8);
  CHECK(all_nan(lossy.sink.values));
  CHECK(lossy.sink.predicted == std::vector<std::int64_t>{-1, -1, -1, -1});
  CHECK(lossy.sink.members[0] == std::vector<float>(8, 1.0F));
  CHECK(all_nan(lossy.sink.members[1]));
  CHECK(lossy.sink.members[2] == std::vector<float>(8, 3.0F));
  lossy.deliver(1, 3, {true, true, true});
  CHECK(lossy.sink.first == 4);
  CHECK(lossy.sink.values == std::vector<float>(6, 2.0F));
  CHECK_FALSE(lossy.sink.set_aside);
}

TEST_CASE("a segment that no member answered is NaN and no class") {
  Lossy lossy;
  lossy.deliver(0, 4, {false, false, false});
  CHECK_FALSE(lossy.sink.set_aside);
  CHECK(lossy.sink.members_present == 0);
  CHECK(lossy.sink.values.size() == 8);
  CHECK(all_nan(lossy.sink.values));
  CHECK(lossy.sink.predicted == std::vector<std::int64_t>(4, -1));
}

TEST_CASE("without a rule the members that are not present are NaN") {
  Lossy lossy(CombineRule::none);
  lossy.deliver(0, 4, {true, false, true}, true);
  CHECK(lossy.sink.values.empty());
  CHECK(lossy.sink.predicted.empty());
  CHECK(lossy.sink.members[0] == std::vector<float>(8, 1.0F));
  CHECK(all_nan(lossy.sink.members[1]));
}

TEST_CASE("images of another shape are refused with both shapes") {
  const ListSource source(random_images(1), {});
  check_fits(source, {kShape, {}});
  const auto error = error_of([&] { check_fits(source, {{3, 32, 32}, {}}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a list has images of 2x3x3, but the ensemble takes 3x32x32");
}

}  // namespace
}  // namespace tutti::test
