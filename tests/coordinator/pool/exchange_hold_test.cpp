// Slots that are kept although their segment was delivered, and an exchange that fills no more slots: step by step, on
// one thread.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/pool/exchange.hpp"
#include "tests/common/death.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

const ArenaLayout kArena{2, 4, {1, 1, 2}};

/// `segments` segments of one image.
struct Counted final : Work {
  explicit Counted(int segments_of_work) : segments(segments_of_work) {}
  bool has_more() const override { return filled < segments; }
  std::uint32_t fill(std::byte*, const ArenaLayout&, SlotId) override {
    ++filled;
    return 1;
  }
  void deliver(const FinishedSegment& finished) override { slots.push_back(finished.segment.slot); }
  int segments;
  int filled = 0;
  std::vector<SlotId> slots;  ///< of what was delivered
};

/// An exchange, one stream, and its submitted segments.
struct Rig {
  explicit Rig(int segments) : work(segments) {}
  Exchange::Step step() {
    const Exchange::Step step = exchange.step(stream);
    exchange.check_invariants();
    return step;
  }
  /// The workers have answered the submitted segment.
  void finish(std::size_t index) {
    FinishedSegment finished;
    finished.segment.slot = submitted.at(index).slot;
    finished.segment.images = 1;
    exchange.finish(*stream, index, std::move(finished));
  }
  std::string end_of_step() {
    const auto error = error_of([&] { step(); });
    return error ? error->message() : "nothing";
  }

  Counted work;
  std::vector<float> arena = std::vector<float>(kArena.bytes() / sizeof(float));
  std::vector<FilledSegment> submitted;
  Exchange exchange{reinterpret_cast<std::byte*>(arena.data()), kArena,
                    [this](FilledSegment filled) { submitted.push_back(std::move(filled)); }};
  std::shared_ptr<Stream> stream = std::make_shared<Stream>(work, TaskKind::predict, ByRank<bool>{true});
};

using Step = Exchange::Step;

TEST_CASE("a slot that is held is not filled again until it is released as often as it was held") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::waiting);
  const SlotId held = rig.submitted[0].slot;
  rig.exchange.hold(held);
  rig.exchange.hold(held);
  rig.finish(0);
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.work.slots == std::vector{held});
  CHECK(rig.step() == Step::waiting);
  // The others are used in turn without it.
  for (std::size_t index = 1; index < 5; ++index) {
    rig.finish(index);
    CHECK(rig.step() == Step::progressed);
    CHECK(rig.step() == Step::progressed);
    CHECK(rig.submitted.back().slot != held);
    CHECK(rig.step() == Step::waiting);
  }
  rig.exchange.release(held);
  CHECK(rig.step() == Step::waiting);
  const std::uint64_t seen = rig.exchange.changes();
  rig.exchange.release(held);
  CHECK(rig.exchange.changes() != seen);  // drivers that wait for a slot look again
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.submitted.back().slot == held);
}

TEST_CASE("a slot that is held is not reused even if its work was cancelled") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  const SlotId held = rig.submitted[0].slot;
  rig.exchange.hold(held);
  rig.exchange.cancel(*rig.stream);
  rig.finish(0);
  Counted next(3);
  const auto stream = std::make_shared<Stream>(next, TaskKind::predict, ByRank<bool>{true});
  CHECK(rig.exchange.step(stream) == Step::progressed);
  CHECK(rig.submitted.back().slot != held);
  CHECK(rig.exchange.step(stream) == Step::waiting);
  rig.exchange.release(held);
  CHECK(rig.exchange.step(stream) == Step::progressed);
  CHECK(rig.submitted.back().slot == held);
}

TEST_CASE("a segment that is finished when it cannot be is a failed check") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  const auto finish = [&](std::uint64_t index, SlotId slot) {
    FinishedSegment finished;
    finished.segment.slot = slot;
    rig.exchange.finish(*rig.stream, index, std::move(finished));
  };
  CHECK(failed_check([&] { finish(1, 0); }).ends_with("only what was filled is finished"));
  CHECK(failed_check([&] { finish(0, 1); }).ends_with("a slot is taken until its segment is delivered"));
  rig.finish(0);
  CHECK(rig.step() == Step::progressed);
  CHECK(failed_check([&] { finish(0, 0); }).ends_with("what was delivered is not finished again"));
}

TEST_CASE("a stream that was cancelled takes no more steps") {
  Rig rig(10);
  rig.exchange.cancel(*rig.stream);
  CHECK(failed_check([&] { rig.step(); }).ends_with("a stream that was cancelled takes no more steps"));
}

TEST_CASE("a number of changes that never was is a failed check") {
  Rig rig(1);
  CHECK(failed_check([&] {
          rig.exchange.wait_change(rig.exchange.changes() + 1);
        }).ends_with("the number is from this exchange"));
}

TEST_CASE("an exchange that drains delivers what is in flight and then ends the work with its error") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::progressed);
  rig.finish(0);
  const std::uint64_t seen = rig.exchange.changes();
  rig.exchange.drain(Error(ErrorKind::interrupted, "interrupted"));
  CHECK(rig.exchange.changes() != seen);
  rig.exchange.drain(Error(ErrorKind::interrupted, "once more"));
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.step() == Step::waiting);  // a slot is free and stays free
  CHECK(rig.submitted.size() == 2);
  rig.finish(1);
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.work.slots.size() == 2);
  CHECK(rig.end_of_step() == "interrupted");
  CHECK(rig.submitted.size() == 2);
  CHECK_FALSE(rig.exchange.failure());
}

TEST_CASE("an exchange that drains with nothing in flight ends the work at once") {
  Rig rig(10);
  rig.exchange.drain(Error(ErrorKind::interrupted, "interrupted"));
  CHECK(rig.end_of_step() == "interrupted");
  CHECK(rig.work.filled == 0);
}

TEST_CASE("work whose last segment is in flight is done although the exchange drains") {
  Rig rig(2);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::progressed);
  rig.exchange.drain(Error(ErrorKind::interrupted, "interrupted"));
  rig.finish(1);
  CHECK(rig.step() == Step::waiting);
  rig.finish(0);
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.step() == Step::done);
}

TEST_CASE("a failure ends an exchange that drains without waiting for what is in flight") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  rig.exchange.drain(Error(ErrorKind::interrupted, "interrupted"));
  CHECK(rig.step() == Step::waiting);
  rig.exchange.fail(Error(ErrorKind::failed, "m0 died"));
  CHECK(rig.end_of_step() == "m0 died");
}

}  // namespace
}  // namespace tutti::test
