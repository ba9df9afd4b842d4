// A new version of a unit, step by step: when it takes over, and what happens if workers die meanwhile.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

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
  rig.answer_as(0);
  CHECK(rig.take() == Texts{"finish 0", "retire 0", "spawn 0 g1", "retire 1", "spawn 1 g1", "superseded"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 to 0 s2"});
}

TEST_CASE("a replica takes over what its sister is late with though the new version of both waits") {
  Rig rig = Rig::running(two_replicas());
  rig.open();
  rig.open();
  rig.take();
  supersede(rig, 1);
  rig.pass(0.1);
  rig.answer_as(1);
  rig.take();
  rig.pass(3);
  rig.tick();
  CHECK(rig.take() == Texts{"hold 0", "task 0 to 1 s0 too"});
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 0"});
  rig.answer_as(0);
  CHECK(rig.take() == Texts{"release 0", "retire 0", "spawn 0 g1", "retire 1", "spawn 1 g1", "superseded"});
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

TEST_CASE("a worker that dies while its new version waits is replaced by it") {
  Rig rig = Rig::running(at_once(1));
  rig.open();
  rig.take();
  supersede(rig, 0);
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 died: killed by SIGKILL on segment 100; its new version is ready", "retire 0",
                            "spawn 0 g1", "superseded"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.supervisor.counts().restarts == 1);
  rig.supervisor.check_invariants();
}

TEST_CASE("a worker that dies waits for the sisters that its new version waits for") {
  Rig rig = Rig::running(two_replicas());
  rig.open();
  rig.open();
  rig.take();
  supersede(rig, 0);
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 (replica 1 of 2) on cpu:0 died: killed by SIGKILL on segment 100; its new version is "
                            "ready"});
  rig.pass(60);
  CHECK(rig.supervisor.next_wake() > rig.now - std::chrono::seconds(61));
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 1", "retire 0", "spawn 0 g1", "retire 1", "spawn 1 g1", "superseded"});
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 0 to 1 s0"});
}

TEST_CASE("a worker that waits for its replacement gets its new version at once") {
  auto setting = rig_setting(1);
  setting.policy.back_off = 1;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  for (int n = 0; n < 2; ++n) die_again(rig, 0);
  rig.dies(0);
  rig.take();
  supersede(rig, 0);
  CHECK(rig.take() == Texts{"retire 0", "spawn 0 g3", "superseded"});
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
  CHECK(rig.take().back() == "superseded");
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
}

TEST_CASE("workers whose new version is not there after all go on") {
  Rig rig = Rig::running(at_once(1));
  rig.open();
  rig.take();
  supersede(rig, 0);
  rig.open();
  CHECK(rig.take() == Texts{});
  rig.supervisor.call_off(rig.now);
  CHECK(rig.take() == Texts{"task 0 s1"});
  rig.answer(0);
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0", "finish 1"});
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
  CHECK(rig.take() == Texts{"not superseded: its worker was given up"});
}

TEST_CASE("members that share a worker stay together if it dies while their new version waits") {
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
  REQUIRE(texts.size() == 4);
  CHECK(texts[1] == "retire 0");
  CHECK(texts[3] == "superseded");
}

TEST_CASE("a member in training gets no new version and workers of two units do not change together") {
  Rig rig = Rig::running(at_once(2));
  CHECK(failed_check([&] {
          rig.supervisor.supersede({WorkerId(0), WorkerId(1)}, rig.now);
        }).ends_with("the workers are of one unit, or of one member"));
  rig.begin_training();
  CHECK(failed_check([&] { supersede(rig, 0); }).ends_with("a member that is trained has a state"));
}

/// m0 has the stages of ranks 1 and 0, in the workers 1 and 0.
Rig two_stages(SupervisorSetting setting = at_once(2)) {
  ByRank<std::optional<Rank>> fed_by(2);
  fed_by[0] = Rank(1);
  setting.chains = Chains(std::move(fed_by));
  Rig rig(std::move(setting));
  rig.supervisor.start(rig.now);
  for (const std::size_t worker : {1, 0}) rig.ready(worker);
  rig.take();
  REQUIRE(rig.supervisor.all_running());
  return rig;
}

TEST_CASE("the stages of a member end what the first has started and change together") {
  Rig rig = two_stages();
  rig.open();
  CHECK(rig.take() == Texts{"task 1 s0"});
  rig.supervisor.supersede({WorkerId(1), WorkerId(0)}, rig.now);
  rig.open();
  CHECK(rig.take() == Texts{});  // it is for the new version
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s0"});  // of the old one, as its first stage was
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0", "retire 1", "spawn 1 g1", "retire 0", "spawn 0 g1", "superseded"});
  rig.ready(1);
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s1", "begin 0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s1"});
  rig.supervisor.check_invariants();
}

TEST_CASE("if a stage dies before its new version takes over the old one continues") {
  for (const std::size_t dying : {0, 1}) {
    CAPTURE(dying);
    Rig rig = two_stages();
    rig.open();
    rig.take();
    if (dying == 0) {
      rig.answer(1);
      rig.take();
    }
    rig.supervisor.supersede({WorkerId(1), WorkerId(0)}, rig.now);
    rig.open();
    rig.take();
    rig.dies(dying);
    const Texts texts = rig.take();
    CHECK(std::ranges::count(
              texts, "not superseded: a stage of its old version had to be replaced meanwhile; try again") == 1);
    CHECK(texts.back() == (dying == 0 ? "spawn 0 g1" : "spawn 1 g1"));
    rig.ready(dying);
    rig.take();
    for (const std::size_t rank :
         dying == 1 ? std::vector<std::size_t>{1, 0, 1, 0} : std::vector<std::size_t>{1, 0, 0}) {
      rig.answer(rank);
      rig.take();
    }
    CHECK(rig.closed(SegmentId(0)).rows[0].present);
    rig.supervisor.check_invariants();
  }
}

TEST_CASE("stages do not change while one of them waits for its replacement") {
  auto setting = at_once(2);
  setting.policy.back_off = 1;
  Rig rig = two_stages(std::move(setting));
  rig.dies(0);
  rig.dies(0);
  rig.take();
  rig.supervisor.supersede({WorkerId(1), WorkerId(0)}, rig.now);
  CHECK(rig.take() == Texts{"not superseded: a stage of its old version had to be replaced meanwhile; try again"});
  rig.pass(60);
  rig.tick();
  CHECK(rig.take() == Texts{"spawn 0 g2"});
}

TEST_CASE("the stages of a member change together or not at all") {
  Rig rig = two_stages();
  CHECK(failed_check([&] {
          rig.supervisor.supersede({WorkerId(1)}, rig.now);
        }).ends_with("the stages of a member change together"));
}

}  // namespace
}  // namespace tutti::test
