// Slots that are kept although their segment was delivered, and an exchange that fills no more slots: step by step, on
// one thread.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>
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
    const Exchange::Step step = exchange.step(stream, driver);
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
  Driver driver{exchange};
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
  std::thread waiter([&, seen = rig.exchange.changes(rig.driver)] { rig.exchange.wait_change(rig.driver, seen); });
  rig.exchange.release(held);
  waiter.join();  // a driver that waits for a slot looks again
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.submitted.back().slot == held);
}

TEST_CASE("a slot is kept for the driver that waits for one until it has had its turn") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::waiting);
  Counted few(1);
  const auto other = std::make_shared<Stream>(few, TaskKind::predict, ByRank<bool>{true});
  Driver driver(rig.exchange);
  REQUIRE(rig.exchange.step(other, driver) == Step::waiting);
  std::thread waiter([&, seen = rig.exchange.changes(driver)] { rig.exchange.wait_change(driver, seen); });
  while (rig.exchange.wanting() == 0) std::this_thread::yield();
  rig.finish(0);
  CHECK(rig.step() == Step::progressed);  // delivers, which frees a slot
  CHECK(rig.step() == Step::waiting);
  waiter.join();
  SUBCASE("it takes it") {
    CHECK(rig.exchange.step(other, driver) == Step::progressed);
    CHECK(few.filled == 1);
    CHECK(rig.step() == Step::waiting);
  }
  SUBCASE("it does not want it any more") {
    rig.exchange.cancel(*other);
    rig.exchange.wait_change(driver, rig.exchange.changes(driver), std::chrono::steady_clock::now());
    CHECK(rig.step() == Step::progressed);
  }
  SUBCASE("it does something else first") {
    rig.exchange.pause(driver);
    CHECK(rig.step() == Step::progressed);
  }
  SUBCASE("its call has failed") {
    rig.exchange.fail_call(*other, Error(ErrorKind::failed, "it is NaN"), 0, {});
    CHECK(error_of([&] { rig.exchange.step(other, driver); })->message() == "it is NaN");
    CHECK(rig.step() == Step::progressed);
  }
}

TEST_CASE("a driver that wanted no slot for a while comes behind those that wait for one") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::progressed);
  Counted work(1);
  const auto stream = [&] { return std::make_shared<Stream>(work, TaskKind::predict, ByRank<bool>{true}); };
  Driver fickle(rig.exchange);
  Driver patient(rig.exchange);
  const auto given_up = stream();
  REQUIRE(rig.exchange.step(given_up, fickle) == Step::waiting);
  rig.exchange.cancel(*given_up);
  for (int round = 0; round < 2; ++round)
    rig.exchange.wait_change(fickle, rig.exchange.changes(fickle), std::chrono::steady_clock::now());
  const auto want = [&](Driver& driver) {
    REQUIRE(rig.exchange.step(stream(), driver) == Step::waiting);
    const std::size_t before = rig.exchange.wanting();
    std::thread waits([&, seen = rig.exchange.changes(driver)] { rig.exchange.wait_change(driver, seen); });
    while (rig.exchange.wanting() == before) std::this_thread::yield();
    return waits;
  };
  std::thread patient_waits = want(patient);
  std::thread fickle_waits = want(fickle);
  const std::uint64_t seen = rig.exchange.changes(patient);
  rig.exchange.release(rig.submitted[0].slot);
  CHECK(rig.exchange.changes(patient) == seen + 1);
  for (Driver* const driver : {&fickle, &patient}) rig.exchange.announce_change(*driver);
  fickle_waits.join();
  patient_waits.join();
}

TEST_CASE("a slot is offered to the next driver if that which it is kept for ends") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::progressed);
  Counted few(1);
  const auto other = std::make_shared<Stream>(few, TaskKind::predict, ByRank<bool>{true});
  const auto wait_of = [&](Driver& driver) {
    return std::thread([&, seen = rig.exchange.changes(driver)] { rig.exchange.wait_change(driver, seen); });
  };
  auto first = std::make_unique<Driver>(rig.exchange);
  REQUIRE(rig.exchange.step(other, *first) == Step::waiting);
  std::thread first_waits = wait_of(*first);
  while (rig.exchange.wanting() < 1) std::this_thread::yield();
  REQUIRE(rig.step() == Step::waiting);
  std::thread second_waits = wait_of(rig.driver);
  while (rig.exchange.wanting() < 2) std::this_thread::yield();
  rig.exchange.release(rig.submitted[0].slot);
  first_waits.join();
  rig.exchange.cancel(*other);
  first.reset();
  second_waits.join();
  CHECK(rig.step() == Step::progressed);
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
  CHECK(rig.exchange.step(stream, rig.driver) == Step::progressed);
  CHECK(rig.submitted.back().slot != held);
  CHECK(rig.exchange.step(stream, rig.driver) == Step::waiting);
  rig.exchange.release(held);
  CHECK(rig.exchange.step(stream, rig.driver) == Step::progressed);
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
          rig.exchange.wait_change(rig.driver, rig.exchange.changes(rig.driver) + 1);
        }).ends_with("the number is of this driver"));
}

TEST_CASE("an exchange that drains delivers what is in flight and then ends the work with its error") {
  Rig rig(10);
  REQUIRE(rig.step() == Step::progressed);
  REQUIRE(rig.step() == Step::progressed);
  rig.finish(0);
  const std::uint64_t seen = rig.exchange.changes(rig.driver);
  rig.exchange.drain(Error(ErrorKind::interrupted, "interrupted"));
  CHECK(rig.exchange.changes(rig.driver) != seen);
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

TEST_CASE("an exchange that drains fills what repeats what was in flight") {
  Rig rig(1);
  rig.stream->repeats = true;
  rig.exchange.drain(Error(ErrorKind::interrupted, "interrupted"));
  CHECK(rig.step() == Step::progressed);
  rig.finish(0);
  CHECK(rig.step() == Step::progressed);
  CHECK(rig.step() == Step::done);
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
