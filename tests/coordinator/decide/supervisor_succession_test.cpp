// A new version of a unit, step by step: when it takes over, and what happens if workers die meanwhile.
#include <doctest/doctest.h>

#include "tests/common/death.hpp"
#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

/// All workers of its unit.
void supersede(Rig& rig, std::size_t worker) {
  rig.supervisor.supersede(rig.supervisor.hosting().replicas_of(WorkerId(worker)), rig.now);
}

/// Without a back-off.
SupervisorSetting at_once(std::size_t members) {
  auto setting = rig_setting(members);
  setting.policy.back_off = 0;
  return setting;
}

/// m0 has the workers 0 and 1.
SupervisorSetting two_replicas() {
  auto setting = rig_setting(1);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0}, {0}}));
  setting.policy.back_off = 0;
  return setting;
}

TEST_CASE("a new version takes over at once from a worker that has nothing to do") {
  Rig rig = Rig::running(at_once(2));
  supersede(rig, 1);
  CHECK(rig.take() == Texts{"retire 1", "spawn 1 g1", "superseded"});
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1"});
  rig.open();
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s0"});
  rig.supervisor.check_invariants();
  CHECK(rig.supervisor.counts().restarts == 0);
  CHECK(rig.supervisor.counts().deaths == 0);
}

TEST_CASE("a worker answers what it has and its new version computes what comes later") {
  Rig rig = Rig::running(at_once(2));
  rig.open();
  rig.open();
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s0", "task 0 s1", "task 1 s1"});
  supersede(rig, 0);
  rig.open();
  CHECK(rig.take() == Texts{"task 1 s2"});
  rig.answer(0);
  CHECK(rig.take() == Texts{});
  rig.answer(0);
  CHECK(rig.take() == Texts{"retire 0", "spawn 0 g1", "superseded"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s2"});
  for (int n = 0; n < 3; ++n) rig.answer(1);
  CHECK(rig.take() == Texts{"finish 0", "finish 1"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 2"});
}

TEST_CASE("all replicas of a unit change at the same time") {
  Rig rig = Rig::running(two_replicas());
  rig.open();
  rig.open();
  rig.take();
  supersede(rig, 1);
  rig.open();
  CHECK(rig.take() == Texts{});
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 1"});
  rig.pass(3);  // nor does the idle one take over what the other is late with
  rig.tick();
  rig.take();
  CHECK(!rig.supervisor.next_soon().has_value());
  rig.answer_as(0);
  CHECK(rig.take() == Texts{"finish 0", "retire 0", "spawn 0 g1", "retire 1", "spawn 1 g1", "superseded"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 to 0 s2"});
}

TEST_CASE("one of several replicas retires while its sisters get the segments") {
  Rig rig = Rig::running(two_replicas());
  rig.open();
  rig.open();
  rig.take();
  rig.supervisor.supersede({WorkerId(0)}, rig.now);
  rig.open();
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 1", "task 0 to 1 s2"});
  rig.answer_as(0);
  CHECK(rig.take() == Texts{"finish 0", "retire 0", "spawn 0 g1", "superseded"});
  rig.open();
  CHECK(rig.take() == Texts{"task 0 to 1 s3"});
  rig.ready(0);
  rig.open();
  CHECK(rig.take() == Texts{"begin 0", "task 0 to 0 s4"});
}

TEST_CASE("a worker that dies while its new version waits is replaced first") {
  Rig rig = Rig::running(at_once(1));
  rig.open();
  rig.take();
  supersede(rig, 0);
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 died: killed by SIGKILL on segment 100; replacement started, 1 segment handed "
                            "out again",
                            "spawn 0 g1"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"retire 0", "spawn 0 g2", "superseded"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.supervisor.counts().restarts == 1);
}

TEST_CASE("a worker that waits for its replacement needs none of its old version") {
  auto setting = rig_setting(1);
  setting.policy.back_off = 1;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  for (int n = 0; n < 2; ++n) die_again(rig, 0);
  rig.dies(0);
  rig.take();
  supersede(rig, 0);
  CHECK(rig.take() == Texts{"retire 0", "superseded"});
  rig.pass(60);
  rig.tick();
  CHECK(rig.take() == Texts{"spawn 0 g3"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
  rig.supervisor.check_invariants();
}

TEST_CASE("a worker that hangs does not keep its new version waiting") {
  Rig rig = Rig::running(at_once(1));
  rig.open();
  rig.take();
  supersede(rig, 0);
  rig.pass(1e6);
  rig.tick();
  CHECK(rig.take() == Texts{"kill 0"});
  rig.dies(0);
  rig.take();
  rig.ready(0);
  CHECK(rig.take() == Texts{"retire 0", "spawn 0 g2", "superseded"});
}

TEST_CASE("a new version has a budget of its own and nobody takes over from a member that left") {
  auto setting = with_policy(OnWorkerFailure::degrade, 1);
  setting.policy.back_off = 0;
  setting.policy.poison_limit.reset();
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  die_again(rig, 0);
  rig.take();
  rig.answer(0);
  supersede(rig, 0);
  rig.take();
  rig.ready(0);
  rig.take();
  rig.open();
  rig.take();
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g3");
  rig.ready(0);
  rig.take();
  rig.dies(0);
  rig.take();
  CHECK(rig.supervisor.absent(Rank(0)));
  supersede(rig, 0);
  CHECK(rig.take() == Texts{"not superseded"});
}

TEST_CASE("members that are parted while the new version of their unit waits keep the old one") {
  auto setting = rig_setting(2);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0, 1}}));
  setting.policy.back_off = 0;
  setting.policy.restart_limit = 1;
  setting.policy.poison_limit.reset();
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  die_again(rig, 0);
  rig.take();
  supersede(rig, 0);
  rig.dies(0);
  const Texts texts = rig.take();
  CHECK(texts.front() == "not superseded");
  CHECK(texts[1].starts_with("move 0 from 0 to 1"));
}

TEST_CASE("a member in training gets no new version and workers of two units do not change together") {
  Rig rig = Rig::running(at_once(2));
  CHECK(failed_check([&] {
          rig.supervisor.supersede({WorkerId(0), WorkerId(1)}, rig.now);
        }).ends_with("the workers are of one unit"));
  rig.begin_training();
  CHECK(failed_check([&] { supersede(rig, 0); }).ends_with("a member that is trained has a state"));
}

}  // namespace
}  // namespace tutti::test
