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
