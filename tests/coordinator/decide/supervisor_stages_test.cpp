// A member with stages, step by step: when a stage gets a task, and what a death of one means for the others.
#include <doctest/doctest.h>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

/// m0 has the stages of ranks 1, 2 and 0, in the workers 1, 2 and 0; m3 is a member of its own, if there is one.
SupervisorSetting chain_setting(std::size_t ranks = 3, std::uint32_t slots = 4) {
  auto setting = rig_setting(ranks, slots);
  ByRank<std::optional<Rank>> fed_by(ranks);
  fed_by[0] = Rank(2);
  fed_by[2] = Rank(1);
  setting.chains = Chains(std::move(fed_by));
  setting.policy.back_off = 0;
  return setting;
}

Rig chained(SupervisorSetting setting = chain_setting()) {
  Rig rig(std::move(setting));
  rig.supervisor.start(rig.now);
  for (const std::size_t worker : {3, 1, 2, 0})
    if (worker < rig.supervisor.hosting().workers()) rig.ready(worker);
  rig.take();
  REQUIRE(rig.supervisor.all_running());
  return rig;
}

TEST_CASE("a stage is started when the one before it is ready") {
  Rig rig(chain_setting());
  rig.supervisor.start(rig.now);
  CHECK(rig.take() == Texts{"spawn 1 g0"});
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "spawn 2 g0"});
  rig.dies(1);
  CHECK(rig.take().back() == "spawn 1 g1");
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2", "spawn 0 g0"});
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1"});  // the next stage has been started
  CHECK_FALSE(rig.supervisor.all_running());
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0"});
  CHECK(rig.supervisor.all_running());
}

TEST_CASE("a stage gets a segment when the one before it has answered and the last one finishes it") {
  Rig rig = chained();
  rig.open();
  rig.open();
  CHECK(rig.take() == Texts{"task 1 s0", "task 1 s1"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 2 s0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 2 s1"});
  rig.answer(2);
  CHECK(rig.take() == Texts{"task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.closed(0).rows[0].present);
}

TEST_CASE("a stage that dies computes again on what there is and the one before it is not asked twice") {
  Rig rig = chained();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.take();
  rig.dies(2);
  CHECK(rig.take() == Texts{"m2 on cpu:2 died: killed by SIGKILL on segment 100; replacement started, 1 segment handed "
                            "out again",
                            "spawn 2 g1"});
  rig.dies(1);  // its answer stays
  CHECK(rig.take().back() == "spawn 1 g1");
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1"});
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2", "task 2 s0"});
  rig.answer(2);
  CHECK(rig.take() == Texts{"task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.closed(0).rows[1].times == 1);
  CHECK(rig.closed(0).rows[2].times == 2);
}

TEST_CASE("a stage that dies before it answers is asked again and nobody behind it before that") {
  Rig rig = chained();
  rig.open();
  rig.take();
  rig.dies(1);
  rig.take();
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 2 s0"});
}

TEST_CASE("an answer that is left out for its NaN leaves out what would have been made of it") {
  auto setting = chain_setting(4);
  setting.policy.on_nan = OnNan::degrade;
  Rig rig = chained(setting);
  rig.open();
  rig.take();
  rig.answer(3);
  rig.answer(1, CompletionStatus::not_finite);
  const Texts texts = rig.take();
  CHECK(texts.back() == "finish 0");
  CHECK_FALSE(rig.closed(0).rows[0].present);
  CHECK(rig.closed(0).rows[3].present);
  CHECK_FALSE(rig.closed(0).set_aside);
}

TEST_CASE("a segment of which only stages before the last have an answer has no result") {
  auto setting = chain_setting();
  setting.policy.on_nan = OnNan::degrade;
  Rig rig = chained(setting);
  rig.open();
  rig.take();
  rig.answer(1);
  rig.take();
  rig.answer(2, CompletionStatus::not_finite);
  CHECK(rig.take().back() == "finish 0");
  CHECK(rig.closed(0).rows[1].present);
  CHECK(rig.closed(0).set_aside);
  CHECK(rig.supervisor.counts().set_aside == 1);
}

TEST_CASE("a segment that nobody wants goes to no further stage") {
  Rig rig = chained();
  rig.open();
  rig.take();
  rig.supervisor.drop(0);
  CHECK(rig.take() == Texts{});  // the first stage is waited for
  rig.answer(1);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.closed(0).set_aside);
}

TEST_CASE("a segment that kills one of the stages is set aside for all of them") {
  auto setting = chain_setting();
  setting.policy.poison_limit = 1;
  setting.policy.on_poison = OnPoison::set_aside;
  Rig rig = chained(setting);
  rig.open();
  rig.take();
  rig.answer(1);
  rig.take();
  rig.dies(2);
  rig.take();
  rig.ready(2);
  CHECK(rig.take().back() == "task 2 s0");
  rig.dies(2);
  CHECK(rig.take().front() == "finish 0");
  CHECK(rig.closed(0).set_aside);
}

TEST_CASE("a member leaves with all of its stages and what they still have holds its slot") {
  auto setting = chain_setting(4);
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.restart_limit = 0;
  Rig rig = chained(setting);
  rig.open();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.answer(3);
  rig.answer(3);
  rig.take();  // rank 2 has s0, rank 1 s1
  rig.dies(1);
  const Texts texts = rig.take();
  CHECK(contains(texts.front(), "the ensemble continues without it from segment 101"));
  CHECK(std::ranges::count(texts, "hold 0") == 1);
  CHECK(std::ranges::count(texts, "finish 0") == 1);
  CHECK(std::ranges::count(texts, "finish 1") == 1);
  CHECK(std::ranges::count(texts, "vacate 0") == 1);  // it has nothing to do
  CHECK(std::ranges::count(texts, "vacate 2") == 0);
  for (const std::uint32_t rank : {0U, 1U, 2U}) CHECK(rig.supervisor.absent(Rank(rank)));
  MemberStatus status;
  rig.supervisor.describe(0, status);
  CHECK(status.state == WorkerState::absent);
  CHECK(contains(status.absent_reason, "m1 on cpu:1"));
  CHECK(status.absent_from_segment == 0);
  CHECK(rig.answer(2) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"release 0", "vacate 2"});
  for (const std::uint32_t worker : {0U, 2U}) CHECK(rig.supervisor.state(WorkerId(worker)) == WorkerState::absent);
  CHECK(rig.supervisor.counts().deaths == 1);
  rig.open();
  CHECK(rig.take() == Texts{"task 3 s2"});
  rig.supervisor.check_invariants();
}

TEST_CASE("a stage of a member that has left and dies, or is starting, is not replaced and does not stay") {
  auto setting = chain_setting(4);
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.restart_limit = 1;
  setting.policy.poison_limit.reset();
  Rig rig = chained(setting);
  rig.open();
  rig.take();
  rig.answer(1);
  rig.take();  // rank 2 has s0
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  rig.dies(1);
  rig.take();
  rig.ready(1);
  rig.open();
  rig.take();
  rig.dies(1);
  CHECK(contains(rig.take().front(), "the ensemble continues without it"));
  rig.dies(2);
  const Texts ended = rig.take();
  CHECK(std::ranges::count(ended, "m2 on cpu:2 died: killed by SIGKILL on segment 100; nobody needs it any more") == 1);
  rig.ready(0);
  CHECK(rig.take() == Texts{"vacate 0"});
  rig.supervisor.check_invariants();
}

TEST_CASE("without its only member whose stage is gone an ensemble ends") {
  auto setting = chain_setting();
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.restart_limit = 0;
  Rig rig = chained(setting);
  rig.open();
  rig.take();
  rig.dies(2);
  rig.take();
  REQUIRE(rig.error);
  CHECK(rig.error->message() == "no member is left");
  CHECK(contains(rig.error->detail(), "m2 on cpu:2"));
}

TEST_CASE("what a stuck process had answered is asked again unless the next stage has it") {
  auto setting = chain_setting();
  setting.kill_deadline = std::chrono::duration<double>(1);
  Rig rig = chained(setting);
  rig.open();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.answer(1);
  rig.take();
  rig.supervisor.violation(WorkerId(2), "it wrote nonsense", rig.now);
  rig.dies(2);  // both segments are pending for the second stage, and no process has them
  rig.take();
  rig.supervisor.violation(WorkerId(1), "it wrote nonsense", rig.now);
  rig.pass(2);
  rig.tick();
  rig.take();
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s0", "task 1 s1"});
  rig.answer(1);
  rig.take();
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2", "task 2 s0"});
  rig.supervisor.violation(WorkerId(1), "it wrote nonsense", rig.now);
  rig.pass(2);
  rig.tick();
  rig.take();
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s1"});  // the other is being read
  rig.supervisor.check_invariants();
}

/// The last stage has answered the first of two segments and has the second, and m3 has answered none, when the first
/// stage has no worker left.
Rig left_alone(SupervisorSetting setting) {
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.restart_limit = 0;
  Rig rig = chained(std::move(setting));
  rig.open();
  rig.open();
  rig.take();
  for (const std::size_t rank : {1, 1, 2, 2, 0}) {
    rig.answer(rank);
    rig.take();
  }
  rig.dies(1);
  rig.take();
  REQUIRE(rig.supervisor.absent(Rank(0)));
  return rig;
}

TEST_CASE("what a stuck process of a member that has left had answered is not asked again") {
  auto setting = chain_setting(4);
  setting.kill_deadline = std::chrono::duration<double>(1);
  Rig rig = left_alone(setting);
  rig.supervisor.violation(WorkerId(0), "it wrote nonsense", rig.now);
  rig.pass(2);
  rig.tick();  // nobody reads its answer, and nobody would give another
  rig.take();
  rig.answer(3);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK_FALSE(rig.closed(0).rows[0].present);
  CHECK(rig.closed(0).rows[3].present);
  rig.answer(3);
  CHECK(rig.take() == Texts{"finish 1", "release 1"});
  rig.supervisor.check_invariants();
}

TEST_CASE("a stage whose member leaves while it waits to be replaced is not started again") {
  auto setting = chain_setting(4);
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.restart_limit = 2;
  setting.policy.back_off = 2;
  Rig rig = chained(setting);
  const auto dies_twice = [&](std::size_t worker) {
    rig.dies(worker);
    rig.ready(worker);
    rig.dies(worker);
  };
  dies_twice(1);
  rig.pass(3);
  rig.tick();
  rig.ready(1);
  dies_twice(2);
  rig.take();
  rig.dies(1);
  CHECK(contains(rig.take().front(), "the ensemble continues without it"));
  rig.pass(3);
  rig.tick();
  CHECK(rig.take() == Texts{});
  CHECK(rig.supervisor.state(WorkerId(2)) == WorkerState::absent);
  rig.open();
  CHECK(rig.take() == Texts{"task 3 s0"});
  rig.supervisor.check_invariants();
}

TEST_CASE("a replacement that nobody needs may fail to start") {
  auto setting = chain_setting(4);
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.restart_limit = 1;
  Rig rig = chained(setting);
  rig.dies(2);
  rig.take();  // its replacement is starting
  rig.dies(1);
  rig.take();
  rig.ready(1);
  rig.take();
  rig.dies(1);
  CHECK(contains(rig.take().front(), "the ensemble continues without it"));
  Death death{"exited with code 1", false, control::Failure{"its file is gone", "bring it back", true}};
  rig.supervisor.gone(WorkerId(2), death, rig.now);
  CHECK_FALSE(rig.error);
  const Texts texts = rig.take();
  REQUIRE(texts.size() == 1);
  CHECK(contains(texts.front(), "nobody needs it any more"));
  CHECK_FALSE(rig.error);
}

TEST_CASE("a start that is late names only the stages that were started") {
  auto setting = chain_setting();
  setting.start_deadline = std::chrono::duration<double>(5);
  Rig rig(setting);
  rig.supervisor.start(rig.now);
  rig.take();
  rig.pass(6);
  rig.tick();
  rig.take();
  REQUIRE(rig.error);
  CHECK(rig.error->message() == "not ready within 5 s: m1 on cpu:1");
}

}  // namespace
}  // namespace tutti::test
