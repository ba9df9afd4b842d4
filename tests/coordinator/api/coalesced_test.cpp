// Several calls in one segment, without workers: what is filled in, and what each call gets.
#include "coordinator/api/coalesced.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>

#include "tests/coordinator/pool/segments.hpp"
#include "tests/support/fake_ensemble.hpp"

namespace tutti::test {
namespace {

const ArenaLayout kArena{1, 6, kShape};

struct Unreadable final : ListSource {
  explicit Unreadable(std::size_t count) : ListSource(random_images(count), {}) {}
  void read(std::span<const std::uint64_t> /*indices*/, std::span<float> /*pixels*/,
            std::span<std::int64_t> /*labels*/) override {
    throw std::runtime_error("it cannot be read");
  }
};

struct BrokenSink final : ListSink {
  void write(const SegmentResult& /*result*/) override { throw std::runtime_error("it cannot be written"); }
};

/// Batches of two, segments of six.
struct Rig {
  CoalescedRun& make(std::vector<CallRows> calls) {
    return run.emplace(std::move(calls), RunSetting{lineup, nullptr, 2, 6});
  }
  /// The pixels that were filled.
  std::vector<float> fill() {
    const std::uint32_t images = run->fill(reinterpret_cast<std::byte*>(arena.data()), kArena, SlotId(0));
    const auto pixels = slot_view(reinterpret_cast<std::byte*>(arena.data()), kArena, SlotId(0), images).floats();
    return {pixels.begin(), pixels.end()};
  }
  /// Image i has this answer.
  void deliver(const std::vector<float>& answers) {
    FinishedSegment finished;
    finished.segment.images = static_cast<std::uint32_t>(answers.size());
    finished.segment.rows = ByRank<Ledger::Row>(1);
    finished.segment.rows[Rank(0)].asked = true;
    finished.segment.rows[Rank(0)].answered = true;
    finished.segment.rows[Rank(0)].present = true;
    finished.segment.rows[Rank(0)].images = finished.segment.images;
    finished.places = {{channel_with(kArena, 0, answers, 1)}};
    run->deliver(finished);
  }

  const std::shared_ptr<const Lineup> lineup = lineup_of(Accumulator({}, {1.0F}), {{1}}, ClassAxis::of_row(1));
  std::vector<float> arena = std::vector<float>(kArena.bytes() / sizeof(float));
  std::optional<CoalescedRun> run;
};

TEST_CASE("a call that has left is not asked for anything") {
  Rig rig;
  ListSource kept(random_images(2, 3), {});
  auto gone = std::make_unique<ListSource>(random_images(1), std::vector<std::int64_t>{});
  ListSink sink;
  CoalescedRun& run = rig.make({{*gone, sink}, {kept, sink}});
  run.leave(0);
  gone.reset();
  const auto pixels = rig.fill();
  CHECK(pixels.size() == 4 * kShape.elements());
  CHECK(run.image_name(0, 0).empty());
  rig.deliver({1, 2, 3, 4});
  CHECK(sink.values == std::vector<float>{2, 3});
}

TEST_CASE("a call that cannot be read is an error of its own and its neighbour gets its rows") {
  Rig rig;
  Unreadable bad(2);
  ListSource good(random_images(1, 3), {});
  ListSink bad_sink;
  ListSink good_sink;
  CoalescedRun& run = rig.make({{bad, bad_sink}, {good, good_sink}});
  const auto pixels = rig.fill();
  const auto one = random_images(1, 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) CHECK(pixels[i] == one[i % one.size()]);
  rig.deliver({1, 2, 3, 4});
  CHECK_FALSE(run.one_by_one());
  CHECK(bad_sink.values.empty());
  CHECK(good_sink.values == std::vector<float>{3});
  CHECK_THROWS_WITH(std::rethrow_exception(run.error_of(0)), "it cannot be read");
  CHECK(run.error_of(1) == nullptr);
}

TEST_CASE("a segment none of whose calls can be read is not filled") {
  Rig rig;
  Unreadable first(1);
  Unreadable second(1);
  ListSink sink;
  CoalescedRun& run = rig.make({{first, sink}, {second, sink}});
  CHECK_THROWS_WITH(rig.fill(), "it cannot be read");
  for (const std::size_t call : {0, 1}) CHECK(run.error_of(call) != nullptr);
}

TEST_CASE("a sink that fails is an error of its call and ends a run that has no other") {
  Rig rig;
  ListSource source(random_images(1), {});
  BrokenSink broken;
  ListSink whole;
  SUBCASE("among others") {
    CoalescedRun& run = rig.make({{source, broken}, {source, whole}});
    rig.fill();
    rig.deliver({1, 2});
    CHECK_THROWS_WITH(std::rethrow_exception(run.error_of(0)), "it cannot be written");
    CHECK(whole.values == std::vector<float>{2});
  }
  SUBCASE("alone") {
    rig.make({{source, broken}});
    rig.fill();
    CHECK_THROWS_WITH(rig.deliver({1, 2}), "it cannot be written");
  }
}

}  // namespace
}  // namespace tutti::test
