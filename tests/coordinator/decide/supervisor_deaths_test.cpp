// The supervisor step by step when workers die: which are replaced and when, what is handed out again, the messages,
// and when the pool ends.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

using Command = Supervisor::Command;

TEST_CASE("a worker that dies is replaced and its tasks are handed out again in order") {
  Rig rig = Rig::running(rig_setting(2));
  for (int n = 0; n < 4; ++n) rig.open();
  rig.take();
  rig.answer(0);
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 died: killed by SIGKILL on segment 101; replacement started, 3 segments "
                            "handed out again",
                            "spawn 0 g1"});
  CHECK(rig.supervisor.generation(0) == Generation(1));
  CHECK(rig.supervisor.counts().restarts == 1);
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s1"});  // by itself: it may have killed the worker
  CHECK(rig.task(0).generation == Generation(1));
  CHECK(rig.task(0).sequence == Sequence(0));
  CHECK(rig.answer(0) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"task 0 s2", "task 0 s3"});
  CHECK(rig.supervisor.counts().handed_out_again == 3);
  CHECK(rig.supervisor.counts().deaths == 1);
}

TEST_CASE("an answer from an earlier generation is dropped and counted") {
  Rig rig = Rig::running(rig_setting(1));
  rig.open();
  rig.take();
  const CompletionRecord old = Rig::answer_to(rig.task(0));
  rig.dies(0);
  rig.take();
  CHECK(rig.supervisor.completion(0, 0, old, rig.now) == Acceptance::dropped);
  rig.ready(0);
  rig.take();
  CHECK(rig.supervisor.completion(0, 0, old, rig.now) == Acceptance::dropped);
  CHECK(rig.supervisor.completion(0, 1, old, rig.now) == Acceptance::dropped);
  CHECK(rig.supervisor.counts().stale_dropped == 3);
  CHECK(rig.answer(0) == Acceptance::accepted);
}

TEST_CASE("the message about a death says how and where the worker died") {
  const auto line = [](const Death& death, bool idle) {
    Rig rig = Rig::running(rig_setting(1));
    if (!idle) rig.open();
    rig.take();
    rig.supervisor.gone(0, death, rig.now);
    return rig.take().front();
  };
  CHECK(line({"exited with code 7", false, {}}, false) ==
        "m0 on cpu:0 died: exited with code 7 on segment 100; replacement started, 1 segment handed out again");
  CHECK(line({"was killed by SIGSEGV", false, {}}, true) == "m0 on cpu:0 died: killed by SIGSEGV; replacement started");
  CHECK(line({"killed by SIGKILL", true, {}}, false) ==
        "m0 on cpu:0 died: killed by SIGKILL on segment 100 (out of memory); replacement started, 1 segment handed out "
        "again (raise the memory limit, lower 'batch_images', 'segment_images' or 'slots', or run fewer members at a "
        "time)");
  CHECK(line({"exited with code 1", false, control::Failure{"CUDA error\nat line 3", "its hint", false}}, false) ==
        "m0 on cpu:0 failed on segment 100: CUDA error at line 3; replacement started, 1 segment handed out again "
        "(its hint)");
}

TEST_CASE("a failure that blames the configuration ends the pool at once") {
  Rig rig = Rig::running(rig_setting(1));
  rig.supervisor.gone(0, {"exited with code 2", false, control::Failure{"no such model", "its hint", true}}, rig.now);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 failed: no such model"});
  CHECK(rig.error->kind() == ErrorKind::usage);
  CHECK(rig.error->hint() == "its hint");
}

TEST_CASE("a worker that says why it does not start ends the first start but one that dies is replaced") {
  Rig rig(rig_setting(2));
  rig.supervisor.start(rig.now);
  rig.take();
  rig.dies(1);
  CHECK(rig.take() == Texts{"m1 on cpu:1 died while starting: killed by SIGKILL; replacement started", "spawn 1 g1"});
  rig.supervisor.gone(1, {"exited with code 1", false, control::Failure{"no file", "look", false}}, rig.now);
  CHECK(rig.take() == Texts{"fail: m1 on cpu:1 failed while starting: no file"});
  CHECK(rig.error->kind() == ErrorKind::failed);
  CHECK(rig.error->hint() == "look");
}

TEST_CASE("each replacement in a row waits twice as long until a task is answered") {
  auto setting = with_policy(OnWorkerFailure::restart, std::nullopt, 1);
  setting.policy.back_off = 0.4;
  setting.policy.poison_limit.reset();
  Rig rig = Rig::running(setting);
  rig.open();
  rig.open();
  rig.take();
  for (const double delay : {0.0, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0}) {
    rig.dies(0);
    if (delay > 0) {
      const Texts texts = rig.take();
      REQUIRE(texts.size() == 1);
      CHECK(contains(texts[0], fmt::format("; replacement in {} s, 2 segments handed out again", delay)));
      CHECK(rig.supervisor.state(0) == WorkerState::waiting);
      const double wait = std::chrono::duration<double>(rig.supervisor.next_wake().value() - rig.now).count();
      CHECK(wait == doctest::Approx(delay));
      rig.tick();
      CHECK(rig.take().empty());
      rig.pass(delay + 1e-6);
      rig.tick();
    }
    CHECK(rig.take().back().starts_with("spawn"));
    rig.ready(0);
  }
  rig.take();
  rig.answer(0);
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g8");
}

TEST_CASE("more deaths than the budget allows within its window end the pool") {
  auto setting = with_policy(OnWorkerFailure::restart, 2);
  setting.policy.poison_limit.reset();
  Rig rig = Rig::running(setting);
  rig.open();
  for (int n = 0; n < 2; ++n) die_again(rig, 1);
  rig.pass(60);  // the first of them no longer counts
  die_again(rig, 1);
  rig.take();
  die_again(rig, 0);  // each member has a separate budget
  rig.take();
  die_again(rig, 1);
  rig.take();
  rig.dies(1);
  CHECK(rig.take() == Texts{"fail: m1 on cpu:1 died on segment 100: it was killed by SIGKILL"});
  CHECK(rig.error->kind() == ErrorKind::failed);
  CHECK(rig.error->hint() ==
        "its restart budget is spent (2 within 60 s); look at what the worker printed, or raise 'restarts'");
  rig.dies(0);
  CHECK_FALSE(rig.open());
  CHECK_FALSE(rig.supervisor.next_wake());
  CHECK(rig.take().empty());
}

TEST_CASE("with fail the first death ends the pool") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::fail, 5));
  rig.dies(0, "exited with code 3");
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 died: it exited with code 3"});
  CHECK(rig.error->hint() == "'on_worker_failure: restart' replaces workers that die");
}

TEST_CASE("with degrade the ensemble continues without a member whose budget is spent") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::degrade, 0));
  rig.open();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.answer(0);
  rig.answer(1);
  CHECK(rig.take() == Texts{"finish 0"});
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 died: killed by SIGKILL on segment 101; its restart budget is spent (0 within "
                            "60 s), and the ensemble continues without it from segment 101",
                            "finish 1"});
  const Ledger::Segment& closed = rig.closed(1);
  CHECK(closed.rows[0].abandoned);
  CHECK_FALSE(closed.rows[0].present);
  CHECK(closed.rows[1].present);
  CHECK_FALSE(closed.set_aside);
  MemberStatus status;
  rig.supervisor.describe(0, status);
  CHECK(status.state == WorkerState::absent);
  CHECK(status.absent_reason == "m0 on cpu:0 died on segment 101: it was killed by SIGKILL");
  CHECK(status.absent_from_segment == 1U);
  CHECK(status.deaths == 1);
  CHECK(rig.supervisor.all_running());
  rig.open();
  CHECK(rig.take() == Texts{"task 1 s2"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"finish 2"});
  CHECK_FALSE(rig.closed(2).rows[0].asked);
}

TEST_CASE("a member that becomes absent counts as having answered a command") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::degrade, 0));
  rig.supervisor.command(Command::save, rig.now);
  rig.done(1);
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 died while saving its weights: killed by SIGKILL; its restart budget is spent "
                            "(0 within 60 s), and the ensemble continues without it from the next segment",
                            "command done"});
  rig.supervisor.command(Command::begin_training, rig.now);
  CHECK(rig.take() == Texts{"tell 1"});
}

TEST_CASE("a pool without members ends with the reasons of all") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::degrade, 0));
  rig.dies(0);
  // None of the members asked is left, but another one is.
  CHECK(rig.supervisor.open(0, 5, TaskKind::predict, {true, false}, 0, false, rig.now));
  CHECK(rig.take().back() == "finish 0");
  Rig both = Rig::running(with_policy(OnWorkerFailure::degrade, 0));
  both.dies(0);
  both.dies(1, "exited with code 1");
  CHECK(both.take().back() == "fail: no member is left");
  CHECK(both.error->detail() ==
        "m0 on cpu:0 died: it was killed by SIGKILL\n          m1 on cpu:1 died: it exited with code 1");
  CHECK(both.error->hint() == "look at what the workers printed; 'restarts' says how often each is replaced");
}

TEST_CASE("a process that cannot be started is a death with the system's message") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, 2, 1));
  rig.open();
  rig.take();
  const Error error(ErrorKind::failed, "could not start tutti-worker", "Too many open files", "raise 'ulimit -n'");
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  rig.supervisor.spawn_failed(0, error, rig.now);
  CHECK(rig.take() == Texts{"m0 on cpu:0: could not start tutti-worker (Too many open files); replacement in 0.1 s, 1 "
                            "segment handed out again (raise 'ulimit -n')"});
  rig.pass(0.11);
  rig.tick();
  rig.take();
  rig.supervisor.spawn_failed(0, error, rig.now);
  CHECK(rig.take() == Texts{"fail: could not start tutti-worker"});
  CHECK(rig.error->detail() == "Too many open files");
  CHECK(rig.error->hint().starts_with("raise 'ulimit -n'; its restart budget is spent (2 within 60 s)"));
}

TEST_CASE("what the system refuses at the start ends it at once with the hint") {
  Rig rig(rig_setting(2));
  rig.supervisor.start(rig.now);
  rig.take();
  rig.ready(1);
  rig.take();
  rig.supervisor.spawn_failed(0, Error(ErrorKind::failed, "could not start tutti-worker", "refused", "allow it"),
                              rig.now);
  CHECK(rig.take() == Texts{"fail: could not start tutti-worker"});
  CHECK(rig.error->detail() == "refused");
  CHECK(rig.error->hint() == "allow it");
}

TEST_CASE("a worker that is killed while it is on its way and then cannot be started is replaced at once") {
  Rig rig = Rig::running(rig_setting(1));
  rig.dies(0);
  rig.pass(120);
  rig.tick();
  rig.take();
  CHECK(rig.supervisor.state(0) == WorkerState::ending);
  rig.supervisor.spawn_failed(0, Error(ErrorKind::failed, "could not start"), rig.now);
  CHECK(rig.take() == Texts{"m0 on cpu:0 was not ready within 120 s; it was killed; replacement in 0.1 s"});
  CHECK(rig.supervisor.state(0) == WorkerState::waiting);
}

// A process that never starts must not be retried endlessly without a pause, even without a back-off.
TEST_CASE("after a process that could not be started the next attempt waits") {
  auto setting = with_policy(OnWorkerFailure::restart, std::nullopt, 1);
  setting.policy.back_off = 0;
  Rig rig = Rig::running(setting);
  rig.dies(0);
  rig.take();
  rig.supervisor.spawn_failed(0, Error(ErrorKind::failed, "could not start"), rig.now);
  CHECK(rig.take() == Texts{"m0 on cpu:0: could not start; replacement in 0.1 s"});
}

TEST_CASE("a replacement that is late is killed and that is a death") {
  Rig rig = Rig::running(rig_setting(1));
  rig.dies(0);
  rig.take();
  rig.pass(120);
  rig.tick();
  CHECK(rig.take() == Texts{"kill 0"});
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 was not ready within 120 s; it was killed; replacement in 0.1 s"});
}

TEST_CASE("the death of a worker counts once") {
  auto setting = with_policy(OnWorkerFailure::restart, std::nullopt, 1);
  Rig rig = Rig::running(setting);
  rig.dies(0);
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 died while starting: killed by SIGKILL; replacement in 0.1 s"});
  rig.dies(0);
  rig.supervisor.violation(0, "nonsense", rig.now);
  CHECK(rig.take().empty());
  CHECK(rig.supervisor.counts().deaths == 2);
}

TEST_CASE("the message about a killed worker gives the reason unless its own message blames the configuration") {
  for (const bool usage : {false, true}) {
    CAPTURE(usage);
    Rig rig = Rig::running(rig_setting(1));
    rig.supervisor.violation(0, "nonsense", rig.now);
    rig.take();
    rig.supervisor.gone(0, {"exited with code 2", false, control::Failure{"no such model", "", usage}}, rig.now);
    CHECK(rig.take().front() == (usage
                                     ? "fail: m0 on cpu:0 failed: no such model"
                                     : "m0 on cpu:0 broke the protocol: nonsense; it was killed; replacement started"));
  }
}

TEST_CASE("orders to a worker that is gone are not given") {
  Rig rig = Rig::running(rig_setting(2));
  rig.open();
  rig.dies(0);
  const Texts texts = rig.take();
  CHECK(texts[0] == "task 1 s0");
  CHECK(texts.size() == 3);
}
TEST_CASE("the error of a broken protocol says what the worker did") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, 0));
  rig.supervisor.violation(1, "it wrote nonsense into its task ring", rig.now);
  rig.take();
  rig.dies(1);
  CHECK(rig.take() == Texts{"fail: m1 on cpu:1 broke the protocol: it wrote nonsense into its task ring"});
  CHECK(rig.error->detail() == "the worker was killed");
  CHECK(rig.error->hint().starts_with("its memory may be corrupted; report it if it happens again; its restart"));
}

}  // namespace
}  // namespace tutti::test
