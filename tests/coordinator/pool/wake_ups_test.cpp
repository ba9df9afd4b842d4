// Who is woken up by what: counted, since what is not needed shows in no result.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "coordinator/api/submissions.hpp"
#include "tests/common/error_of.hpp"
#include "tests/coordinator/pool/fake_loop.hpp"
#include "tests/coordinator/pool/segments.hpp"
#include "tests/support/census.hpp"

namespace tutti::test {
namespace {

/// Threads that drive work of one segment each, started one after the other: each has filled, or waits for a slot.
class OneEach {
 public:
  OneEach(FakeLoop& loop, std::size_t count) : works_(count, Recorded(1)) {
    for (Recorded& work : works_)
      threads_.emplace_back([&] {
        loop.exchange().drive(stream_of(work));
        ++done_;
      });
  }
  void wait_for(std::size_t count) {
    REQUIRE(happens([&] { return done_ >= count; }));
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::vector<Recorded> works_;
  std::atomic<std::size_t> done_ = 0;
  std::vector<std::thread> threads_;
};

TEST_CASE("a segment that is finished wakes up its own driver and a slot that is free one that wants it") {
  constexpr std::uint32_t kThreads = 24;
  std::uint32_t slots = kThreads;
  SUBCASE("each has a slot") {}
  SUBCASE("all share one slot") { slots = 1; }
  FakeLoop loop(1, ArenaLayout{slots, 4, {1, 1, 2}});
  loop.hold(true);
  OneEach drivers(loop, kThreads);
  loop.wait_until_submitted(slots);
  for (std::size_t done = 1; done <= kThreads; ++done) {
    loop.allow(1);
    drivers.wait_for(done);
    if (slots == 1 && done < kThreads) loop.wait_until_submitted(1);
  }
  drivers.join();
  // For each the end of its segment and perhaps a slot. If all were woken up each time, there would be about 300.
  CHECK(loop.exchange().wake_ups() <= 2 * kThreads + 6);
}

/// A prediction of one segment.
class Single final : public Submission {
 public:
  Single() : stream_(stream_of(work_)) {}
  const std::shared_ptr<Stream>& stream() override { return stream_; }
  CallRows rows() override { throw std::logic_error("nothing is shared"); }
  Predictions take() override { return {}; }

 private:
  Recorded work_{1};
  std::shared_ptr<Stream> stream_;
};

TEST_CASE("a submission that is settled wakes up one of those that wait for room") {
  constexpr std::size_t kThreads = 24;
  FakeLoop loop(1, ArenaLayout{1, 4, {1, 1, 2}});
  loop.hold(true);
  Submissions submissions(loop.exchange(), 1);
  std::atomic<std::size_t> done = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      submissions.add(std::make_unique<Single>()).get();
      ++done;
    });
  for (std::size_t i = 1; i <= kThreads; ++i) {
    loop.wait_until_submitted(1);
    loop.allow(1);
    REQUIRE(happens([&] { return done >= i; }));
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(submissions.wake_ups() <= kThreads + 3);  // about 300 if all were woken up each time
  loop.exchange().fail(Error(ErrorKind::interrupted, "the end"));
}

TEST_CASE("submissions get room by priority and in the order in which they came") {
  FakeLoop loop(1, ArenaLayout{1, 4, {1, 1, 2}});
  loop.hold(true);
  Submissions submissions(loop.exchange(), 1);
  Mutex mutex;
  std::vector<int> order;
  std::vector<std::thread> threads;
  const auto submit = [&](int number, int priority) {
    threads.emplace_back([&, number, priority] {
      auto one = std::make_unique<Single>();
      one->options.priority = priority;
      auto future = submissions.add(std::move(one));
      {
        const MutexLock lock(mutex);
        order.push_back(number);
      }
      future.get();
    });
    REQUIRE(happens([&] { return submissions.waiting() == threads.size() - 1; }));
  };
  submit(0, 0);
  loop.wait_until_submitted(1);
  submit(1, 0);
  submit(2, 0);
  submit(3, 5);
  submit(4, 0);
  // One that does not wait comes after those that do.
  auto hasty = std::make_unique<Single>();
  hasty->options.when_full = WhenFull::refuse;
  CHECK_THROWS_AS(submissions.add(std::move(hasty)), QueueFull);
  for (std::size_t done = 1; done <= 5; ++done) {
    loop.allow(1);
    REQUIRE(happens([&] {
      const MutexLock lock(mutex);
      return order.size() == std::min<std::size_t>(done + 1, 5);
    }));
    if (done < 5) loop.wait_until_submitted(1);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(order == std::vector<int>{0, 3, 1, 2, 4});
  loop.exchange().fail(Error(ErrorKind::interrupted, "the end"));
}

/// Its parts cannot be made.
class Broken final : public Submission {
 public:
  const std::shared_ptr<Stream>& stream() override { throw std::runtime_error("no memory for the stream"); }
  CallRows rows() override { throw std::runtime_error("no memory for the rows"); }
  Predictions take() override { return {}; }
};

TEST_CASE("a submission that cannot be taken is an error of its own and leaves no place taken") {
  FakeLoop loop(1, ArenaLayout{1, 4, {1, 1, 2}});
  SUBCASE("in the thread of its caller") {
    Submissions submissions(loop.exchange(), 1);
    for (int i = 0; i < 2; ++i)
      CHECK_THROWS_WITH(submissions.add(std::make_unique<Broken>()), "no memory for the stream");
    submissions.add(std::make_unique<Single>()).get();
    loop.exchange().fail(Error(ErrorKind::interrupted, "the end"));
  }
  SUBCASE("in the thread that gathers") {
    Submissions submissions(loop.exchange(), 1,
                            CoalesceSetting{{}, {lineup_of(Accumulator({}, {1.0F}), {{2}}, {})}, {}});
    for (int i = 0; i < 2; ++i) {
      auto future = submissions.add(std::make_unique<Broken>());
      CHECK_THROWS_WITH(future.get(), "no memory for the rows");
    }
    loop.exchange().fail(Error(ErrorKind::interrupted, "the end"));
  }
}

TEST_CASE("a submission that is given up while it waits for room leaves its place to the next") {
  FakeLoop loop(1, ArenaLayout{1, 4, {1, 1, 2}});
  loop.hold(true);
  Submissions submissions(loop.exchange(), 1);
  auto first = submissions.add(std::make_unique<Single>());
  loop.wait_until_submitted(1);
  std::stop_source stop;
  std::string given_up;
  std::thread second([&] {
    auto one = std::make_unique<Single>();
    one->options.stop = stop.get_token();
    const auto error = error_of([&] { submissions.add(std::move(one)); });
    given_up = error ? error->message() : "nothing";
  });
  REQUIRE(happens([&] { return submissions.waiting() == 1; }));
  std::thread third([&] { submissions.add(std::make_unique<Single>()).get(); });
  REQUIRE(happens([&] { return submissions.waiting() == 2; }));
  stop.request_stop();
  second.join();
  CHECK(given_up == "the prediction was given up: its caller requested a stop");
  CHECK(submissions.waiting() == 1);
  loop.hold(false);
  third.join();
  first.get();
  loop.exchange().fail(Error(ErrorKind::interrupted, "the end"));
}

}  // namespace
}  // namespace tutti::test
