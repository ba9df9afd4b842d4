// Members that share a worker, step by step: the order of their tasks, whose fault a death is, and who moves.
#include <doctest/doctest.h>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

/// m0 and m1 share worker 0, m2 has worker 1.
SupervisorSetting sharing(UnitMode mode = UnitMode::loop) {
  auto setting = rig_setting(3);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0, 1}, {2}}));
  setting.modes = {mode, UnitMode::loop};
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.poison_limit = 2;
  setting.policy.back_off = 0;
  return setting;
}

TEST_CASE("the members of a unit get a segment one after the other and each answers for itself") {
  Rig rig = Rig::running(sharing());
  rig.open();
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s0", "task 2 s0"});
  CHECK(rig.task(0).sequence == Sequence(0));
  CHECK(rig.task(1).sequence == Sequence(1));
  CHECK(rig.task(2).sequence == Sequence(0));
  CHECK(rig.task(0).more == 1);
  CHECK(rig.task(1).more == 0);
  CHECK(rig.task(1).seat == Seat(1));
  CHECK(rig.answer(1) == Acceptance::accepted);
  rig.answer(2);
  CHECK(rig.take().empty());
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
}

TEST_CASE("a death takes the tasks of all members of the unit and they come again segment by segment") {
  Rig rig = Rig::running(sharing());
  rig.open();
  rig.open();
  rig.take();
  rig.answer(0);
  rig.dies(0);
  // The next task is that of m1: it may have killed the worker, and is tried alone.
  CHECK(rig.take() ==
        Texts{"m1 on cpu:0 died: killed by SIGKILL on segment 100; replacement started, 2 segments handed "
              "out again",
              "spawn 0 g1"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 1 s0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s1", "task 1 s1"});
  CHECK(rig.supervisor.counts().handed_out_again == 3);
}

TEST_CASE("a member that kills the worker alone again moves and its neighbour stays") {
  Rig rig = Rig::running(sharing());
  rig.open();
  rig.take();
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g2");
  rig.ready(0);
  rig.take();
  rig.dies(0);
  CHECK(
      rig.take() ==
      Texts{"move 0 from 0 to 2", "spawn 2 g0",
            "m0 on cpu:0 died: killed by SIGKILL on segment 100; segment 100 (images 1000 to 1009) has killed 2 "
            "workers that computed nothing else: m0 on cpu:0 gets a worker of its own; replacement started, 1 segment "
            "handed out again",
            "spawn 0 g3"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 1 s0"});
  rig.answer(1);
  rig.answer(2);
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2", "task 0 s0"});
  CHECK(rig.task(0).seat == Seat(0));
  CHECK(rig.task(0).generation == Generation(0));
  // Alone, the member may answer; if it does not, the segment is to blame.
  rig.dies(2);
  CHECK(rig.take() == Texts{"finish 0",
                            "m0 on cpu:0 died: killed by SIGKILL on segment 100; segment 100 (images 1000 to 1009) has "
                            "killed 3 workers that computed nothing else and is set aside; replacement started",
                            "spawn 2 g1"});
}

TEST_CASE("of members that compute at the same time each is tried alone after a death") {
  Rig rig = Rig::running(sharing(UnitMode::threads));
  rig.open();
  rig.open();
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 and 1 more died: killed by SIGKILL on segment 100; replacement started, 2 "
                            "segments handed out again",
                            "spawn 0 g1"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"task 1 s0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s1", "task 1 s1"});
}

TEST_CASE("if nobody knows which member kills a worker all but one get their own before any is given up") {
  auto setting = sharing(UnitMode::threads);
  setting.policy.poison_limit.reset();
  setting.policy.restart_limit = 1;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  rig.answer(2);
  rig.dies(0);
  rig.ready(0);
  rig.take();
  rig.dies(0);
  CHECK(rig.take() ==
        Texts{"move 0 from 0 to 2", "spawn 2 g0",
              "m0 on cpu:0 and 1 more died: killed by SIGKILL on segment 100; its restart budget is spent (1 within 60 "
              "s): m0 on cpu:0 gets a worker of its own; replacement started, 1 segment handed out again",
              "spawn 0 g2"});
  rig.ready(2);
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 2", "task 0 s0", "begin 0", "task 1 s0"});
}

TEST_CASE("fused members stay together and the segment is set aside") {
  Rig rig = Rig::running(sharing(UnitMode::fused));
  rig.open();
  rig.take();
  rig.answer(2);
  for (int death = 0; death < 3; ++death) {
    rig.dies(0);
    rig.pass(5);
    rig.tick();
    rig.ready(0);
  }
  CHECK(rig.take().back() == "begin 0");
  CHECK(rig.supervisor.hosting().workers() == 2);
  CHECK(rig.supervisor.counts().set_aside == 1);
}

TEST_CASE("a shared worker whose process cannot be started takes all of its members with it") {
  auto setting = sharing();
  setting.policy.restart_limit = 1;
  Rig rig = Rig::running(setting);
  rig.dies(0);
  rig.take();
  rig.supervisor.spawn_failed(0, Error(ErrorKind::failed, "no memory"), rig.now);
  const Texts texts = rig.take();
  REQUIRE(texts.size() == 2);
  CHECK(texts[0].ends_with("and the ensemble continues without m0 on cpu:0 from the next segment"));
  CHECK(texts[1].ends_with("and the ensemble continues without m1 on cpu:0 from the next segment"));
  CHECK(rig.supervisor.absent(1));
  CHECK_FALSE(rig.supervisor.absent(2));
}

TEST_CASE("a member whose loading kills the worker again and again is named and moves") {
  auto setting = sharing();
  setting.policy.restart_limit = 2;
  Rig rig = Rig::running(setting);
  rig.dies(0);
  rig.take();
  const auto dies_loading = [&](std::size_t ready) {
    Death death{"killed by SIGKILL", false, {}};
    death.members_ready = ready;
    rig.supervisor.gone(WorkerId(0), death, rig.now);
  };
  dies_loading(1);
  CHECK(rig.take() == Texts{"m1 on cpu:0 died while starting: killed by SIGKILL; replacement started", "spawn 0 g2"});
  dies_loading(1);
  CHECK(rig.take().front() == "move 1 from 0 to 2");
  // What the other did is no longer held against the worker.
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g4");
  MemberStatus status;
  rig.supervisor.describe(1, status);
  CHECK(status.deaths == 3);
  rig.supervisor.describe(0, status);
  CHECK(status.deaths == 2);
}

TEST_CASE("an answer with the seat of another member is a violation") {
  Rig rig = Rig::running(sharing());
  rig.open();
  rig.take();
  CompletionRecord record = Rig::answer_to(rig.task(0));
  record.seat = 1;
  CHECK(rig.supervisor.completion(0, 0, record, rig.now) == Acceptance::violation);
}

}  // namespace
}  // namespace tutti::test
