// The supervisor step by step in time: progress and its deadlines, workers that hang, processes that do not end.
#include <doctest/doctest.h>

#include <string>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

using Command = Supervisor::Command;

const std::string kHint = "(if one batch may take that long, set 'progress_deadline_s' to more seconds or to off)";

SupervisorSetting without_restarts() {
  auto setting = rig_setting(2);
  setting.policy.restart_limit = 0;
  return setting;
}

/// When tick() would decide something, in seconds from now.
double wake_in(const Rig& rig) {
  return std::chrono::duration<double>(rig.supervisor.next_wake().value() - rig.now).count();
}

TEST_CASE("an idle pool never wakes and a worker at work has its deadline") {
  Rig rig = Rig::running(rig_setting(1));
  CHECK_FALSE(rig.supervisor.next_wake());
  rig.pass(1000);  // the time of an idle worker does not count
  rig.open();
  CHECK(wake_in(rig) == doctest::Approx(10));
  rig.pass(4);
  rig.supervisor.progress(0, 1, rig.now);
  CHECK(wake_in(rig) == doctest::Approx(10));
  rig.take();
  rig.answer(0);
  CHECK_FALSE(rig.supervisor.next_wake());
  CHECK_FALSE(rig.supervisor.busy());
}

TEST_CASE("the deadline is twenty times the slowest batch seen or a given time or none") {
  auto setting = rig_setting(1);
  Rig rig = Rig::running(setting);
  rig.open();
  rig.pass(6);
  rig.supervisor.progress(0, 3, rig.now);  // 2 s each
  rig.tick();
  CHECK(wake_in(rig) == doctest::Approx(40));
  rig.pass(1);
  rig.supervisor.progress(0, 1000, rig.now);
  rig.tick();
  CHECK(wake_in(rig) == doctest::Approx(40));
  setting.policy.progress = config::FailureSpec::Deadline::fixed;
  setting.policy.progress_deadline = 3;
  Rig fixed = Rig::running(setting);
  fixed.open();
  fixed.pass(2.5);
  fixed.supervisor.progress(0, 1, fixed.now);
  fixed.tick();
  CHECK(wake_in(fixed) == doctest::Approx(3));
  setting.policy.progress = config::FailureSpec::Deadline::off;
  Rig off = Rig::running(setting);
  off.open();
  CHECK_FALSE(off.supervisor.next_wake());
  off.take();
  off.answer(0);
  off.supervisor.command(Command::save, off.now);
  CHECK_FALSE(off.supervisor.next_wake());
}

TEST_CASE("a counter that goes back or jumps moves the deadline by no more than time has passed") {
  Rig rig = Rig::running(rig_setting(1));
  rig.open();
  for (const std::uint64_t batches : {~0ULL, 0ULL, 1ULL << 63, 5ULL, 4ULL}) {
    rig.pass(0.4);
    rig.supervisor.progress(0, batches, rig.now);
    rig.tick();
    CHECK(wake_in(rig) == doctest::Approx(10));
  }
}

TEST_CASE("a stall of the coordinator neither kills a worker nor counts as a slow batch") {
  Rig rig = Rig::running(rig_setting(1));
  rig.open();
  rig.pass(1000);
  rig.supervisor.progress(0, 1, rig.now);
  rig.supervisor.stalled(rig.now);
  rig.tick();
  CHECK(wake_in(rig) == doctest::Approx(10));
  rig.pass(1000);
  rig.supervisor.stalled(rig.now);
  rig.tick();
  rig.take();
  CHECK(rig.supervisor.state(0) == WorkerState::running);
  CHECK(wake_in(rig) == doctest::Approx(10));
}

TEST_CASE("a command has the time of a start") {
  Rig rig = Rig::running(rig_setting(1));
  rig.supervisor.command(Command::save, rig.now);
  rig.take();
  CHECK(wake_in(rig) == doctest::Approx(120));
  rig.pass(120);
  rig.tick();
  CHECK(rig.take() == Texts{"kill 0"});
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 made no progress for 120.0 s while saving its weights and was killed; "
                            "replacement started (raise 'start_deadline_s' if that takes so long)",
                            "spawn 0 g1"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "tell 0"});
}

TEST_CASE("a worker that makes no progress is killed and replaced") {
  Rig rig = Rig::running(rig_setting(2));
  rig.open();
  rig.take();
  rig.answer(1);
  rig.pass(9.9);
  rig.tick();
  CHECK(rig.take().empty());
  rig.pass(0.1);
  rig.tick();
  CHECK(rig.take() == Texts{"kill 0"});
  CHECK(rig.supervisor.counts().hangs == 1);
  CHECK(rig.supervisor.state(0) == WorkerState::ending);
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 made no progress for 10.0 s on segment 100 and was killed; replacement "
                            "started, 1 segment handed out again " +
                                kHint,
                            "spawn 0 g1"});
}

TEST_CASE("a command that hangs in every replacement ends the pool even if each takes longer than the window") {
  auto setting = rig_setting(1);
  setting.policy.progress = config::FailureSpec::Deadline::fixed;
  setting.policy.restart_window = 60;
  setting.start_deadline = std::chrono::seconds(100);
  Rig rig = Rig::running(setting);
  rig.supervisor.command(Supervisor::Command::save, rig.now);
  for (const double seconds : {101, 201, 401}) {
    CHECK_FALSE(rig.error);
    rig.take();
    rig.pass(seconds);
    rig.tick();
    rig.dies(0);
    rig.pass(10);
    rig.tick();
    rig.ready(0);
  }
  rig.take();
  REQUIRE(rig.error);
  CHECK(contains(rig.error->hint(), "it missed its deadline 3 times in a row"));
}

TEST_CASE("the error of a hang says how to allow for it") {
  Rig rig = Rig::running(without_restarts());
  rig.open();
  rig.pass(10);
  rig.tick();
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 made no progress for 10.0 s on segment 100 and was killed"});
  CHECK(rig.error->hint().starts_with(
      "if one batch may take that long, set 'progress_deadline_s' to more seconds or to off; its restart budget"));
}

TEST_CASE("the answers of a worker before it was killed for a hang count") {
  Rig rig = Rig::running(rig_setting(1));
  rig.open();
  rig.pass(10);
  rig.tick();
  rig.take();
  CHECK(rig.answer(0) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"finish 0"});
}

TEST_CASE("a process that does not end is left behind and its slots are kept until it does") {
  Rig rig = Rig::running(rig_setting(2));
  rig.open();
  rig.open();
  rig.take();
  rig.answer(0);  // of segment 0: its channel is never read again
  rig.pass(10);
  rig.supervisor.progress(1, 1, rig.now);
  rig.tick();
  CHECK(rig.take() == Texts{"kill 0"});
  rig.pass(9.9);
  rig.supervisor.stalled(rig.now);  // its deadline starts again
  rig.pass(9.9);
  rig.supervisor.progress(1, 2, rig.now);
  rig.tick();
  CHECK(rig.take().empty());
  rig.pass(0.1);
  rig.tick();
  CHECK(rig.take() == Texts{"abandon 0 g0", "hold 1",
                            "m0 on cpu:0 made no progress for 10.0 s on segment 101 and does not end even after "
                            "SIGKILL (its pid is in the report); replacement started, 2 segments handed out again " +
                                kHint,
                            "spawn 0 g1"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0", "task 0 s1"});
  rig.supervisor.exited_late(0, 7, rig.now);
  CHECK(rig.take().empty());
  rig.supervisor.exited_late(0, 0, rig.now);
  CHECK(rig.take() == Texts{"release 1"});
  rig.supervisor.exited_late(0, 0, rig.now);
  CHECK(rig.take().empty());
}

TEST_CASE("the message about a worker that does not end says why it was killed") {
  Rig rig = Rig::running(rig_setting(1));
  rig.supervisor.violation(0, "nonsense", rig.now);
  rig.take();
  rig.pass(10);
  rig.tick();
  CHECK(rig.take()[1] ==
        "m0 on cpu:0 broke the protocol: nonsense; it does not end even after SIGKILL (its pid is in "
        "the report); replacement started");
  rig.pass(120);
  rig.tick();
  rig.take();
  rig.pass(10);
  rig.tick();
  CHECK(rig.take()[1] ==
        "m0 on cpu:0 was not ready within 120 s; it does not end even after SIGKILL (its pid is in "
        "the report); replacement in 0.1 s");
}

TEST_CASE("a pool whose slots are all kept by processes that do not end fails") {
  Rig rig = Rig::running(rig_setting(1, 1));
  rig.open();
  rig.pass(10);
  rig.tick();
  rig.pass(10);
  rig.tick();
  CHECK(rig.take().back() == "fail: no slot is left for a segment");
  CHECK(rig.error->detail() ==
        "1 of 1 are kept for processes that do not end even after SIGKILL, 0 for tasks that may "
        "have to be done again");
  CHECK(contains(rig.error->hint(), "hang in the kernel"));
}

TEST_CASE("checkpoints come more often while slots are kept for processes that do not end") {
  auto setting = rig_setting(1, 4);
  setting.checkpoint_segments = 3;
  Rig rig = Rig::running(setting);
  rig.begin_training();
  for (int n = 0; n < 2; ++n) rig.open(TaskKind::train);
  rig.supervisor.violation(0, "nonsense", rig.now);  // it is unknown which of the two slots it reads
  rig.pass(10);
  rig.tick();
  rig.ready(0);
  rig.done(0);
  rig.take();
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0", "release 0", "task 0 s1 c2"});
}

}  // namespace
}  // namespace tutti::test
