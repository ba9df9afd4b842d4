// Slots of the exchange that are leased: how many can be, who gets one next, and where they go.
#include <doctest/doctest.h>

#include <thread>

#include "tests/common/error_of.hpp"
#include "tests/coordinator/pool/fake_loop.hpp"
#include "tests/support/census.hpp"

namespace tutti::test {
namespace {

/// Waits for a slot, as Ensemble::lease() does.
SlotId leased(Exchange& exchange) {
  Driver driver(exchange);
  for (;;) {
    const std::uint64_t seen = exchange.changes(driver);
    if (const auto slot = exchange.lease(driver)) return *slot;
    exchange.wait_change(driver, seen);
  }
}

bool none_to_lease(Exchange& exchange) {
  Driver driver(exchange);
  return !exchange.lease(driver).has_value();
}

TEST_CASE("all slots but one can be leased and the last one serves all other work") {
  FakeLoop loop(1);
  const SlotId first = leased(loop.exchange());
  const SlotId second = leased(loop.exchange());
  CHECK(first != second);
  CHECK(none_to_lease(loop.exchange()));
  Recorded work(20);
  loop.exchange().drive(stream_of(work));
  CHECK(work.delivered.size() == 20);
  CHECK(work.most_outstanding == 1);
  loop.exchange().end_lease(first);
  CHECK(leased(loop.exchange()) == first);
  CHECK(none_to_lease(loop.exchange()));
  for (const SlotId slot : {first, second}) loop.exchange().end_lease(slot);
  loop.exchange().check_invariants();
  Recorded rest(9);
  loop.exchange().drive(stream_of(rest));
  CHECK(rest.delivered.size() == 9);
}

TEST_CASE("of those that wait to lease one is woken when a lease ends, the one that came first") {
  FakeLoop loop(1);
  const SlotId first = leased(loop.exchange());
  const SlotId second = leased(loop.exchange());
  Mutex mutex;
  std::vector<int> order;
  std::vector<std::thread> waiting;
  std::vector<SlotId> got;
  for (int number = 0; number < 3; ++number) {
    waiting.emplace_back([&, number] {
      const SlotId slot = leased(loop.exchange());
      const MutexLock lock(mutex);
      order.push_back(number);
      got.push_back(slot);
    });
    REQUIRE(happens([&] { return loop.exchange().wanting() == static_cast<std::size_t>(number) + 1; }));
  }
  const std::uint64_t wake_ups = loop.exchange().wake_ups();
  const auto served = [&] {
    const MutexLock lock(mutex);
    return got.size();
  };
  loop.exchange().end_lease(first);
  CHECK(happens([&] { return served() == 1; }));
  CHECK(loop.exchange().wake_ups() == wake_ups + 1);
  loop.exchange().end_lease(second);
  CHECK(happens([&] { return served() == 2; }));
  loop.exchange().end_lease(got[0]);
  for (std::thread& thread : waiting) thread.join();
  CHECK(order == std::vector{0, 1, 2});
  loop.exchange().check_invariants();
}

TEST_CASE("a slot that is kept for one that does not take it can be leased by others") {
  FakeLoop loop(1);
  const SlotId first = leased(loop.exchange());
  leased(loop.exchange());
  std::thread impatient([&] {
    Driver driver(loop.exchange());
    const std::uint64_t seen = loop.exchange().changes(driver);
    CHECK_FALSE(loop.exchange().lease(driver));
    loop.exchange().wait_change(driver, seen);
  });
  REQUIRE(happens([&] { return loop.exchange().wanting() == 1; }));
  loop.exchange().end_lease(first);
  impatient.join();
  {
    Driver other(loop.exchange());
    CHECK(loop.exchange().lease(other) == first);
  }
  CHECK(none_to_lease(loop.exchange()));
  loop.exchange().check_invariants();
}

TEST_CASE("a stream has its leased slot without waiting and it counts as leased no more") {
  FakeLoop loop(1);
  loop.hold(true);
  const SlotId slot = leased(loop.exchange());
  leased(loop.exchange());
  Recorded work(1);
  const auto stream = stream_of(work);
  stream->leased = slot;
  Driver driver(loop.exchange());
  CHECK(loop.exchange().step(stream, driver) == Exchange::Step::progressed);
  CHECK(work.filled == 1);
  CHECK(loop.exchange().input_bytes_copied() == 0);
  const SlotId third = leased(loop.exchange());
  CHECK(third != slot);
  loop.hold(false);
  CHECK(happens([&] { return loop.exchange().step(stream, driver) == Exchange::Step::done; }));
  CHECK(work.delivered.size() == 1);
  loop.exchange().check_invariants();
}

TEST_CASE("a leased slot goes back if its stream ends before it is filled") {
  FakeLoop loop(1);
  Recorded work(1);
  const auto stream = stream_of(work);
  stream->leased = leased(loop.exchange());
  SUBCASE("because it is cancelled") { loop.exchange().cancel(*stream); }
  SUBCASE("because the exchange drains") {
    loop.exchange().drain(Error(ErrorKind::interrupted, "drained"));
    Driver driver(loop.exchange());
    CHECK(error_of([&] { loop.exchange().step(stream, driver); })->message() == "drained");
    CHECK(error_of([&] { loop.exchange().lease(driver); })->message() == "drained");
  }
  SUBCASE("because everything failed") {
    loop.exchange().fail(Error(ErrorKind::failed, "failed"));
    Driver driver(loop.exchange());
    CHECK(error_of([&] { loop.exchange().step(stream, driver); })->message() == "failed");
    CHECK(error_of([&] { loop.exchange().lease(driver); })->message() == "failed");
  }
  CHECK_FALSE(stream->leased);
  CHECK(work.filled == 0);
  loop.exchange().check_invariants();
}

}  // namespace
}  // namespace tutti::test
