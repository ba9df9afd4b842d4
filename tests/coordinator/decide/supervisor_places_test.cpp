// Members that come and go, step by step: who is asked for what, and what happens to those that die meanwhile.
#include <doctest/doctest.h>

#include "tests/common/death.hpp"
#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

SupervisorSetting without_back_off(std::size_t members) {
  auto setting = rig_setting(members);
  setting.policy.back_off = 0;
  return setting;
}

/// A further member is there and runs.
Rank come(Rig& rig, const std::string& name = "n") {
  const Rank rank = rig.supervisor.reserve(name, "cpu:9");
  rig.supervisor.join(rank, rig.now);
  rig.take();
  rig.ready(rig.supervisor.hosting().only_worker_of(rank).value());
  rig.take();
  return rank;
}

TEST_CASE("a further member is asked for the segments that are opened for it and has nothing to do with others") {
  Rig rig = Rig::running(without_back_off(1));
  rig.open();
  rig.take();
  const Rank rank = rig.supervisor.reserve("n", "cpu:9");
  CHECK(rank == Rank(1));
  CHECK(rig.supervisor.absent(rank));
  rig.open();  // while it is loaded
  CHECK(rig.take() == Texts{"task 0 s1"});
  rig.supervisor.join(rank, rig.now);
  CHECK(rig.take() == Texts{"spawn 1 g0"});
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1"});
  CHECK(rig.supervisor.place_of(WorkerId(1)) == "n on cpu:9");
  rig.open({true, true});
  CHECK(rig.take() == Texts{"task 0 s2", "task 1 s2"});
  rig.answer(1);
  for (int n = 0; n < 3; ++n) rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0", "finish 1", "finish 2"});
  CHECK(!rig.closed(SegmentId(0)).rows[rank].asked);
  CHECK(rig.closed(SegmentId(2)).rows[rank].present);
  rig.supervisor.check_invariants();
}

TEST_CASE("a further member that dies is replaced like the others") {
  Rig rig = Rig::running(without_back_off(1));
  come(rig);
  rig.open({true, true});
  rig.take();
  rig.dies(1);
  CHECK(rig.take() == Texts{"n on cpu:9 died: killed by SIGKILL on segment 100; replacement started, 1 segment handed "
                            "out again",
                            "spawn 1 g1"});
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s0"});
  rig.supervisor.check_invariants();
}

TEST_CASE("a member goes and its place is that of the next one which remembers nothing of it") {
  Rig rig = Rig::running(without_back_off(2));
  rig.open();
  rig.take();
  rig.dies(0);
  rig.take();
  rig.ready(0);
  rig.take();
  rig.answer(0);
  rig.answer(1);
  rig.take();
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"vacate 0"});
  CHECK(rig.supervisor.absent(Rank(0)));
  CHECK(rig.supervisor.all_running());
  rig.open({false, true});
  CHECK(rig.take() == Texts{"task 1 s1"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"finish 1"});

  CHECK(come(rig) == Rank(0));
  MemberStatus status;
  rig.supervisor.describe(Rank(0), status);
  CHECK(status.state == WorkerState::running);
  CHECK(status.generation == 0);
  CHECK(status.deaths == 0);
  CHECK(rig.supervisor.generation(WorkerId(0)) == Generation(2));  // no answer of an earlier one is taken for its own
  CHECK(rig.supervisor.counts().deaths == 1);
  CHECK(rig.supervisor.counts().restarts == 1);
  rig.open({true, true});
  CHECK(rig.take() == Texts{"task 0 s2", "task 1 s2"});
  rig.supervisor.check_invariants();
}

TEST_CASE("places do not grow in number however often members come and go") {
  Rig rig = Rig::running(without_back_off(1));
  for (int round = 0; round < 1000; ++round) {
    const Rank rank = come(rig);
    REQUIRE(rank == Rank(1));
    rig.open({true, true});
    rig.take();
    rig.answer(0);
    rig.answer(1);
    CHECK(rig.take().size() == 1);
    rig.supervisor.vacate(rank);
    rig.take();
  }
  CHECK(rig.supervisor.hosting().members() == 2);
  CHECK(rig.supervisor.hosting().workers() == 2);
  CHECK(rig.supervisor.counts().restarts == 0);
}

TEST_CASE("a member that could not be loaded leaves its place to the next") {
  Rig rig = Rig::running(without_back_off(1));
  CHECK(rig.supervisor.reserve("a", "cpu:1") == Rank(1));
  CHECK(rig.supervisor.reserve("b", "cpu:2") == Rank(1));
  CHECK(come(rig) == Rank(1));
  CHECK(rig.supervisor.reserve("c", "cpu:3") == Rank(2));
  rig.supervisor.check_invariants();
}

TEST_CASE("a member goes whatever its worker is doing and is not replaced any more") {
  auto setting = without_back_off(2);
  setting.policy.back_off = 1;
  Rig rig = Rig::running(setting);
  const auto again = [&] { CHECK(come(rig) == Rank(0)); };
  // It has died, and its replacement waits, or starts.
  rig.dies(0);
  rig.take();
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"vacate 0"});
  rig.pass(60);
  rig.tick();
  CHECK(rig.take() == Texts{});
  again();
  rig.dies(0);
  rig.pass(5);
  rig.tick();
  rig.take();
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"vacate 0"});
  rig.ready(0);  // too late
  CHECK(rig.take() == Texts{});
  // It was killed, and its end is still to come.
  again();
  rig.supervisor.violation(WorkerId(0), "it breaks the protocol", rig.now);
  CHECK(rig.take() == Texts{"kill 0"});
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"vacate 0"});
  rig.dies(0);
  CHECK(rig.take() == Texts{});
  CHECK(rig.supervisor.counts().violations == 1);
  CHECK(rig.supervisor.counts().deaths == 3);
  // It is to be spawned, and was not yet.
  again();
  rig.dies(0);
  rig.pass(5);
  rig.tick();
  rig.supervisor.vacate(Rank(0));
  const Texts texts = rig.take();
  CHECK(texts.back() == "vacate 0");
  CHECK(std::ranges::count_if(texts, [](const std::string& text) { return text.starts_with("spawn"); }) == 0);
  again();
  rig.open({true, true});
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s0"});
  rig.supervisor.check_invariants();
}

TEST_CASE("a member that was left out goes and the ensemble ends when nobody predicts any more") {
  auto setting = with_policy(OnWorkerFailure::degrade, 0, 2);
  setting.policy.poison_limit.reset();
  Rig rig = Rig::running(setting);
  rig.dies(0);
  rig.take();
  REQUIRE(rig.supervisor.absent(Rank(0)));
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"vacate 0"});
  CHECK(come(rig) == Rank(0));
  rig.supervisor.vacate(Rank(0));
  rig.take();
  rig.dies(1);
  CHECK(rig.take().back() == "fail: no member is left");
}

/// m0, m1 and m2 share worker 0, and m3 has worker 1.
SupervisorSetting sharing(UnitMode mode = UnitMode::loop) {
  auto setting = without_back_off(4);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0, 1, 2}, {3}}));
  setting.modes = {mode, UnitMode::loop};
  return setting;
}

TEST_CASE("a member leaves a worker that it shares and the next process does not load it") {
  Rig rig = Rig::running(sharing());
  rig.supervisor.vacate(Rank(1));
  CHECK(rig.take() == Texts{});  // the process stays
  CHECK(rig.supervisor.absent(Rank(1)));
  rig.open({true, false, true, true});
  CHECK(rig.take() == Texts{"task 0 s0", "task 2 s0", "task 3 s0"});
  CHECK(rig.task(2).seat == Seat(2));
  CHECK(rig.supervisor.reserve("n", "cpu:9") == Rank(4));  // its seat is nobody's place yet
  rig.dies(0);
  CHECK(rig.take() == Texts{"move 1 from 0 to 3",
                            "m0 on cpu:0 died: killed by SIGKILL on segment 100; replacement started, 1 segment handed "
                            "out again",
                            "spawn 0 g1"});
  CHECK(rig.supervisor.hosting().members_of(WorkerId(0)) == std::vector<Rank>{0, 2});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"task 2 s0"});
  CHECK(rig.task(2).seat == Seat(1));
  CHECK(rig.supervisor.reserve("n", "cpu:9") == Rank(1));
  rig.supervisor.check_invariants();
}

TEST_CASE("a worker leaves with the last of its members") {
  Rig rig = Rig::running(sharing());
  rig.supervisor.vacate(Rank(2));
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{});
  rig.supervisor.vacate(Rank(1));
  CHECK(rig.take() == Texts{"vacate 0"});
  CHECK(rig.supervisor.all_running());
  rig.open({false, false, false, true});
  CHECK(rig.take() == Texts{"task 3 s0"});
  rig.supervisor.check_invariants();
}

TEST_CASE("a member that leaves a worker without a process is not loaded by the next one") {
  auto setting = sharing();
  setting.policy.back_off = 1;
  Rig rig = Rig::running(setting);
  rig.dies(0);
  rig.dies(0);  // and the next one waits
  rig.take();
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"move 0 from 0 to 2"});
  rig.pass(60);
  rig.tick();
  CHECK(rig.take() == Texts{"spawn 0 g2"});
  CHECK(rig.supervisor.hosting().members_of(WorkerId(0)) == std::vector<Rank>{1, 2});
  rig.supervisor.check_invariants();
}

TEST_CASE("a member that has gone and cannot be loaded any more costs its neighbours one process") {
  Rig rig = Rig::running(sharing());
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  rig.supervisor.vacate(Rank(1));  // the process that starts loads it, too
  Death death{"exited with code 2", false, control::Failure{"m1: cannot open its file", {}, true}};
  death.members_ready = 1;
  rig.supervisor.gone(WorkerId(0), death, rig.now);
  const Texts texts = rig.take();
  CHECK(texts.front() == "move 1 from 0 to 2");
  CHECK(texts.back() == "spawn 0 g2");
  CHECK(rig.supervisor.hosting().members_of(WorkerId(0)) == std::vector<Rank>{0, 2});
  rig.supervisor.check_invariants();
}

TEST_CASE("fused members stay together even if one has gone") {
  Rig rig = Rig::running(sharing(UnitMode::fused));
  rig.supervisor.vacate(Rank(1));
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  CHECK(rig.supervisor.hosting().members_of(WorkerId(0)) == std::vector<Rank>{0, 1, 2});
  rig.supervisor.check_invariants();
}

TEST_CASE("all stages of a member leave with it and others come beside them") {
  // m0 has a stage before its last, which is row 2.
  auto setting = without_back_off(3);
  ByRank<std::optional<Rank>> fed_by(3);
  fed_by[0] = Rank(2);
  setting.chains = Chains(std::move(fed_by));
  Rig rig(setting);
  rig.supervisor.start(rig.now);
  for (const std::size_t worker : {1, 2, 0}) rig.ready(worker);
  rig.take();
  REQUIRE(rig.supervisor.all_running());
  CHECK(come(rig) == Rank(3));
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"vacate 2", "vacate 0"});
  CHECK(rig.supervisor.all_running());
  rig.open({false, true, false, true});
  CHECK(rig.take() == Texts{"task 1 s0", "task 3 s0"});
  CHECK(rig.supervisor.reserve("n", "cpu:9") == Rank(4));  // those of stages are nobody's places
  rig.supervisor.check_invariants();
}

TEST_CASE("all replicas of a member leave with it") {
  auto setting = without_back_off(2);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0}, {0}, {1}}));
  Rig rig = Rig::running(setting);
  rig.supervisor.vacate(Rank(0));
  CHECK(rig.take() == Texts{"vacate 0", "vacate 1"});
  CHECK(rig.supervisor.reserve("n", "cpu:9") == Rank(2));  // a further member has one worker
  rig.open({false, true});
  CHECK(rig.take() == Texts{"task 1 s0"});
  rig.supervisor.check_invariants();
}

TEST_CASE("only a member that nobody asks leaves its place and only one that is there is asked") {
  Rig rig = Rig::running(without_back_off(2));
  rig.open();
  CHECK(failed_check([&] { rig.supervisor.vacate(Rank(1)); }).ends_with("nobody asks a member that leaves"));
  CHECK(failed_check([&] { rig.supervisor.join(Rank(1), rig.now); }).ends_with("a member takes a vacant place"));
  rig.take();
  rig.answer(0);
  rig.answer(1);
  rig.take();
  rig.supervisor.vacate(Rank(1));
  CHECK(failed_check([&] { rig.supervisor.vacate(Rank(1)); }).ends_with("a member leaves its place once"));
  CHECK(failed_check([&] { rig.open(); }).ends_with("a member is asked while it is there"));
}

}  // namespace
}  // namespace tutti::test
