// The exchange between drivers and loop, with a thread that plays the loop and the workers.
#include "coordinator/pool/exchange.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <thread>

#include "tests/common/error_of.hpp"
#include "tests/coordinator/pool/fake_loop.hpp"

namespace tutti::test {
namespace {

/// Drives `work` while nothing is finished until every slot is out: slots that were lost would never come.
void drive_with_all_slots(FakeLoop& loop, Recorded& work) {
  loop.hold(true);
  std::thread driver([&] { loop.exchange().drive(stream_of(work)); });
  loop.wait_until_submitted(kExchangeArena.slots);
  loop.hold(false);
  driver.join();
}

bool in_order(const Recorded& work) {
  for (std::size_t i = 0; i < work.delivered.size(); ++i)
    if (work.delivered[i] != i) return false;
  return work.delivered.size() == work.segments;
}

TEST_CASE("segments are delivered in the order of filling in whatever order they finish") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    FakeLoop loop(seed);
    Recorded work(200);
    loop.exchange().drive(stream_of(work));
    CHECK(in_order(work));
    CHECK_FALSE(loop.slot_used_twice());
  }
}

TEST_CASE("no more segments are out than there are slots") {
  FakeLoop loop(1);
  Recorded work(100);
  drive_with_all_slots(loop, work);
  CHECK(work.most_outstanding == kExchangeArena.slots);
}

TEST_CASE("work without segments is done at once") {
  FakeLoop loop(1);
  Recorded work(0);
  loop.exchange().drive(stream_of(work));
  CHECK(work.delivered.empty());
}

TEST_CASE("several drivers share the slots and each gets its own in order") {
  FakeLoop loop(3);
  std::vector<Recorded> works(5, Recorded(100));
  std::vector<std::thread> drivers;
  for (Recorded& work : works) drivers.emplace_back([&] { loop.exchange().drive(stream_of(work)); });
  for (std::thread& driver : drivers) driver.join();
  for (const Recorded& work : works) CHECK(in_order(work));
  CHECK_FALSE(loop.slot_used_twice());
}

TEST_CASE("the bytes of the input are counted once") {
  FakeLoop loop(1);
  Recorded work(7);
  loop.exchange().drive(stream_of(work));
  CHECK(loop.exchange().input_bytes_copied() == 7 * kExchangeArena.sample_bytes());
}

/// Drives `work` and returns what was thrown.
std::string end_of(FakeLoop& loop, Work& work) {
  try {
    loop.exchange().drive(stream_of(work));
  } catch (const std::exception& error) {
    return error.what();
  }
  return "done";
}

TEST_CASE("a sink that throws ends its work and all slots come back") {
  FakeLoop loop(5);
  for (std::size_t at = 0; at < 10; ++at) {
    Recorded work(20);
    work.fail_at_delivery = at;
    CHECK(end_of(loop, work) == "the sink broke");
  }
  Recorded after(50);
  drive_with_all_slots(loop, after);
  CHECK(in_order(after));
}

TEST_CASE("a source that throws ends its work and all slots come back") {
  FakeLoop loop(5);
  for (std::uint32_t at = 0; at < 10; ++at) {
    Recorded work(20);
    work.fail_at_fill = at;
    CHECK(end_of(loop, work) == "the source broke");
  }
  Recorded after(50);
  drive_with_all_slots(loop, after);
  CHECK(in_order(after));
}

TEST_CASE("cancelled work keeps its slots until the workers have finished with them") {
  FakeLoop loop(5);
  loop.hold(true);
  Recorded broken(20);
  broken.fail_at_fill = 2;
  CHECK(end_of(loop, broken) == "the source broke");  // two slots are still with the workers
  Recorded next(20);
  std::thread driver([&] { loop.exchange().drive(stream_of(next)); });
  loop.wait_until_submitted(3);
  loop.hold(false);
  driver.join();
  CHECK(in_order(next));
  CHECK_FALSE(loop.slot_used_twice());
}

TEST_CASE("a failure ends drivers that wait and everything later with the same error") {
  FakeLoop loop(1);
  loop.hold(true);
  std::vector<Recorded> works(3, Recorded(20));
  std::vector<std::string> ends(works.size());
  std::vector<std::thread> drivers;
  for (std::size_t i = 0; i < works.size(); ++i) drivers.emplace_back([&, i] { ends[i] = end_of(loop, works[i]); });
  loop.wait_until_submitted(kExchangeArena.slots);
  loop.exchange().fail(Error(ErrorKind::failed, "m0 died"));
  for (std::thread& driver : drivers) driver.join();
  for (const std::string& end : ends) CHECK(end == "m0 died");
  Recorded later(1);
  CHECK(end_of(loop, later) == "m0 died");
  loop.exchange().fail(Error(ErrorKind::failed, "m1 died too"));
  CHECK(end_of(loop, later) == "m0 died");  // the first failure stays
  CHECK(loop.exchange().failure()->message() == "m0 died");
}

TEST_CASE("a failure that is about an image names it only to the driver of its stream") {
  struct Named final : Work {
    bool has_more() const override { return true; }
    std::uint32_t fill(std::byte*, const ArenaLayout&, SlotId) override { return 1; }
    void deliver(const FinishedSegment&) override {}
    std::string image_name(std::uint64_t segment, std::uint64_t image) const override {
      return segment == 2 ? fmt::format("{}.jpg", image) : "";
    }
  };
  FakeLoop loop(1);
  Named work;
  Driver driver(loop.exchange());
  const auto stream = [&] { return std::make_shared<Stream>(work, TaskKind::predict, ByRank<bool>{true}); };
  const auto detail_of = [&](const std::shared_ptr<Stream>& one) {
    const auto error = error_of([&] { loop.exchange().step(one, driver); });
    return error ? error->detail() : "no error";
  };
  const auto blamed = stream();
  const auto nameless = stream();
  const Error nan(ErrorKind::failed, "m0 answered with NaN", "first in image 7 of the segment");
  loop.exchange().fail_call(*blamed, nan, 2, 7);
  loop.exchange().fail_call(*blamed, Error(ErrorKind::failed, "too late"), 2, 8);
  loop.exchange().fail_call(*nameless, nan, 1, 7);
  CHECK(detail_of(blamed) == "first in image 7 of the segment: 7.jpg");
  CHECK(detail_of(nameless) == "first in image 7 of the segment");
  const auto fine = stream();
  CHECK(detail_of(fine) == "no error");
  loop.exchange().cancel(*fine);  // before its driver ends
}

TEST_CASE("a waiting thread returns when something changed since it looked") {
  FakeLoop loop(1);
  Driver driver(loop.exchange());
  const std::uint64_t seen = loop.exchange().changes(driver);
  std::thread waiter([&] { loop.exchange().wait_change(driver, seen); });
  loop.exchange().announce_change(driver);
  waiter.join();
  CHECK(loop.exchange().changes(driver) != seen);
}

}  // namespace
}  // namespace tutti::test
