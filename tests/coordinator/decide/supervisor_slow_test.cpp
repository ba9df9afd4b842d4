// The supervisor and workers that are slow: what counts as time without progress under the automatic deadline, where
// that deadline starts, and what follows if it is missed.
#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

const std::string kAdvice = "if one batch may take that long, set 'progress_deadline_s' to more seconds or to off";

SupervisorSetting with_fixed_deadline(double seconds) {
  auto setting = rig_setting(1);
  setting.policy.progress = config::FailureSpec::Deadline::fixed;
  setting.policy.progress_deadline = seconds;
  return setting;
}

double deadline_in(const Rig& rig) {
  return std::chrono::duration<double>(rig.supervisor.next_wake().value() - rig.now).count();
}

/// What a process does: how many threads could run, and what share of a processor each of them gets.
struct Doing {
  std::uint32_t runnable = 0;
  double share = 0;
  bool waits_for_pages = false;
};
constexpr Doing kSleeps{};
constexpr Doing kComputes{1, 1};
constexpr Doing kStarves{1, 0};

/// The worker of member 0, looked at as the pool does.
class Watched {
 public:
  explicit Watched(Rig& rig) : rig_(rig) {}

  void pass(double seconds, const Doing& doing) {
    constexpr double kLook = 0.25;
    for (double left = seconds; left > kLook / 2; left -= kLook) {
      rig_.pass(kLook);
      activity_.cpu_seconds += kLook * doing.share * doing.runnable;
      activity_.runnable = doing.runnable;
      if (doing.waits_for_pages) ++activity_.major_faults;
      if (rig_.supervisor.to_be_watched(0, rig_.now)) rig_.supervisor.watch(0, activity_, rig_.now);
      rig_.tick();
    }
  }

  /// It misses its deadline, which is this many seconds, and is replaced if the pool lives. Returns the line about it.
  std::string miss(double deadline) {
    pass(deadline - 0.5, kSleeps);
    CHECK(rig_.take().empty());
    pass(0.5, kSleeps);
    CHECK(rig_.take() == Texts{"kill 0"});
    rig_.dies(0);
    const Texts said = rig_.take();
    REQUIRE_FALSE(said.empty());
    if (rig_.error) return said.front();
    rig_.pass(5);
    rig_.tick();
    rig_.ready(0);
    CHECK(rig_.take().back() == "task 0 s0");
    return said.front();
  }

 private:
  Rig& rig_;
  ProcessActivity activity_;
};

TEST_CASE("a worker that gets little of a processor has its deadline in the time that it gets") {
  for (const std::uint32_t threads : {1U, 8U}) {
    CAPTURE(threads);
    Rig rig = Rig::running(rig_setting(1));
    Watched worker(rig);
    rig.open();
    rig.take();
    // Nothing is known about the first second; of the others a tenth counts.
    worker.pass(90, {threads, 0.1});
    CHECK(rig.take().empty());
    worker.pass(2, {threads, 0.1});
    CHECK(rig.take() == Texts{"kill 0"});
    rig.dies(0);
    CHECK(contains(rig.take().front(), "m0 on cpu:0 made no progress for 91."));
  }
}

TEST_CASE("a worker that waits for a processor or for its pages is never killed for it") {
  for (const Doing& doing : {kStarves, Doing{0, 0, true}, Doing{3, 0, true}}) {
    Rig rig = Rig::running(rig_setting(1));
    Watched worker(rig);
    rig.open();
    rig.take();
    worker.pass(5000, doing);
    CHECK(rig.take().empty());
    rig.supervisor.progress(0, 1, rig.now);
    rig.tick();
    // Of this batch, only the second before the first look counts.
    CHECK(deadline_in(rig) == doctest::Approx(20));
  }
}

TEST_CASE("a worker that sleeps or computes undisturbed without progress is killed at its deadline") {
  for (const Doing& doing : {kSleeps, kComputes, Doing{4, 1}}) {
    CAPTURE(doing.runnable);
    Rig rig = Rig::running(rig_setting(1));
    Watched worker(rig);
    rig.open();
    rig.take();
    worker.pass(9.5, doing);
    CHECK(rig.take().empty());
    worker.pass(0.5, doing);
    CHECK(rig.take() == Texts{"kill 0"});
  }
}

TEST_CASE("what was excused before a batch does not excuse the next") {
  Rig rig = Rig::running(rig_setting(1));
  Watched worker(rig);
  rig.open();
  rig.take();
  worker.pass(8, kSleeps);
  worker.pass(300, kStarves);
  CHECK(rig.take().empty());
  rig.answer(0);
  rig.open();
  rig.take();
  CHECK(deadline_in(rig) == doctest::Approx(10));
  worker.pass(10, kSleeps);
  CHECK(rig.take() == Texts{"kill 0"});
}

TEST_CASE("only a worker that is late under the automatic deadline is watched") {
  Rig rig = Rig::running(rig_setting(1));
  rig.pass(100);
  CHECK_FALSE(rig.supervisor.to_be_watched(0, rig.now));  // it has nothing to do
  rig.open();
  rig.pass(0.9);
  CHECK_FALSE(rig.supervisor.to_be_watched(0, rig.now));
  rig.pass(0.1);
  CHECK(rig.supervisor.to_be_watched(0, rig.now));

  Rig fixed = Rig::running(with_fixed_deadline(30));
  Watched worker(fixed);
  fixed.open();
  fixed.take();
  worker.pass(29.5, kStarves);
  CHECK_FALSE(fixed.supervisor.to_be_watched(0, fixed.now));
  CHECK(fixed.take().empty());
  worker.pass(0.5, kStarves);
  CHECK(fixed.take() == Texts{"kill 0"});
}

TEST_CASE("the automatic deadline starts from the batches of the warm-up") {
  struct Case {
    double said;
    double deadline;
  };
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // No batch has taken longer than the 50 s that the worker has been there, whatever it says.
  for (const Case& one :
       {Case{3, 60}, Case{0.1, 10}, Case{-5, 10}, Case{1e300, 1000}, Case{kNaN, 10}, Case{kInfinity, 1000}}) {
    CAPTURE(one.said);
    Rig rig(rig_setting(1));
    rig.supervisor.start(rig.now);
    rig.take();
    rig.pass(50);
    rig.ready(0, one.said);
    rig.open();
    CHECK(deadline_in(rig) == doctest::Approx(one.deadline));
    rig.supervisor.stalled(rig.now);  // the warm-up was measured by the worker, and stays known
    CHECK(deadline_in(rig) == doctest::Approx(one.deadline));
  }
}

TEST_CASE("a member that misses its automatic deadline gets twice the time and in the end a hint") {
  auto setting = rig_setting(1);
  setting.policy.poison_limit = 1;
  Rig rig = Rig::running(setting);
  Watched worker(rig);
  rig.open();
  rig.take();
  CHECK(worker.miss(10).ends_with("(" + kAdvice + ")"));
  CHECK(worker.miss(20).ends_with("(" + kAdvice + ")"));
  CHECK(worker.miss(40) == "fail: m0 on cpu:0 made no progress for 40.0 s on segment 100 and was killed");
  CHECK(rig.error->hint() == kAdvice + "; it missed its deadline 3 times in a row");
  CHECK(rig.supervisor.counts().set_aside == 0);
}

TEST_CASE("an answer between two missed deadlines makes the next the first again") {
  Rig rig = Rig::running(rig_setting(1));
  Watched worker(rig);
  for (int n = 0; n < 2; ++n) rig.open();
  rig.take();
  for (int n = 0; n < 2; ++n) {
    worker.pass(10 * (n + 1), kSleeps);
    rig.take();
    rig.dies(0);
    rig.pass(5);
    rig.tick();
    rig.ready(0);
    rig.take();
  }
  rig.answer(0);
  rig.take();
  CHECK(deadline_in(rig) == doctest::Approx(10));
}

TEST_CASE("an ensemble that may degrade continues without a member that misses its deadline again and again") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::degrade, 5));
  Watched worker(rig);
  rig.open();
  rig.take();
  rig.answer(1);
  for (const double deadline : {10.0, 20.0}) worker.miss(deadline);
  worker.pass(40, kSleeps);
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 made no progress for 40.0 s on segment 100 and was killed; it missed its "
                            "deadline 3 times in a row, and the ensemble continues without it from segment 100",
                            "finish 0"});
}

TEST_CASE("under a deadline that the user set a hang counts as a death and its segment is set aside") {
  Rig rig = Rig::running(with_fixed_deadline(3));
  Watched worker(rig);
  rig.open();
  rig.take();
  for (int n = 0; n < 3; ++n)
    CHECK(contains(worker.miss(3), "raise 'progress_deadline_s' if one batch takes that long"));
  worker.pass(3, kSleeps);
  rig.take();
  rig.dies(0);
  CHECK(contains(rig.take().back(), "has killed 3 workers that computed nothing else and is set aside"));
  CHECK(rig.supervisor.counts().set_aside == 1);
}

}  // namespace
}  // namespace tutti::test
