// A cascade, step by step: members that are asked later, or not at all, and what deaths and absent members do to that.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

/// m0 at once, m1 in round 1, m2 in round 2.
const ByRank<Round> kRounds{0, 1, 2};

std::optional<SegmentId> open(Rig& rig) { return rig.open(TaskKind::predict, false, {kRounds}); }

TEST_CASE("a later round asks its members for the samples that it was told") {
  Rig rig = Rig::running(rig_setting(3));
  open(rig);
  CHECK(rig.take() == Texts{"task 0 s0"});
  CHECK(rig.task(0).images == 10);
  CHECK(rig.task(0).round == Round{});
  rig.answer(0);
  CHECK(rig.take() == Texts{"judge 0"});
  rig.supervisor.go_on(0, NextRound{1, 4}, rig.now);
  CHECK(rig.take() == Texts{"task 1 s0"});
  CHECK(rig.task(1).images == 4);
  CHECK(rig.task(1).round == Round(1U));
  CHECK(rig.answer(1) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"judge 0"});
  rig.supervisor.go_on(0, std::nullopt, rig.now);
  CHECK(rig.take() == Texts{"finish 0"});
  const Ledger::Segment& segment = rig.closed(0);
  CHECK(std::ranges::equal(segment.asked_in, std::vector<std::uint32_t>{10, 4}));
  CHECK(segment.rows[0].present);
  CHECK(segment.rows[1].present);
  CHECK(segment.rows[1].images == 4);
  CHECK_FALSE(segment.rows[2].asked);
  CHECK_FALSE(segment.rows[2].missed);
}

TEST_CASE("the round after the last is not judged") {
  Rig rig = Rig::running(rig_setting(3));
  open(rig);
  rig.take();
  rig.answer(0);
  rig.take();
  rig.supervisor.go_on(0, NextRound{2, 1}, rig.now);
  CHECK(rig.take() == Texts{"task 2 s0"});
  rig.answer(2);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(std::ranges::equal(rig.closed(0).asked_in, std::vector<std::uint32_t>{10, 0, 1}));
  CHECK_FALSE(rig.closed(0).rows[1].asked);
}

TEST_CASE("a worker that dies in a later round gets the same samples again") {
  auto setting = rig_setting(3);
  setting.policy.back_off = 0;
  Rig rig = Rig::running(setting);
  open(rig);
  rig.take();
  rig.answer(0);
  rig.take();
  rig.supervisor.go_on(0, NextRound{1, 7}, rig.now);
  rig.take();
  rig.dies(1);
  rig.take();
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s0"});
  CHECK(rig.task(1).images == 7);
  CHECK(rig.task(1).round == Round(1U));
}

TEST_CASE("segments are judged in any order and their later rounds are handed out as they come") {
  Rig rig = Rig::running(rig_setting(3));
  open(rig);
  open(rig);
  rig.take();
  rig.answer(0);
  rig.answer(0);
  CHECK(rig.take() == Texts{"judge 0", "judge 1"});
  rig.supervisor.go_on(1, NextRound{1, 2}, rig.now);
  rig.supervisor.go_on(0, NextRound{1, 3}, rig.now);
  CHECK(rig.take() == Texts{"task 1 s1", "task 1 s0"});
  rig.answer(1);
  rig.answer(1);
  CHECK(rig.take() == Texts{"judge 1", "judge 0"});
}

TEST_CASE("samples that needed a member which is absent say so and those that did not do not") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::degrade, 0, 3));
  open(rig);
  open(rig);
  rig.take();
  rig.dies(1);
  rig.answer(0);
  rig.answer(0);
  rig.take();
  rig.supervisor.go_on(0, NextRound{1, 3}, rig.now);
  rig.supervisor.go_on(1, NextRound{2, 3}, rig.now);
  CHECK(rig.take() == Texts{"judge 0", "task 2 s1"});
  rig.supervisor.go_on(0, std::nullopt, rig.now);
  rig.answer(2);
  CHECK(rig.take() == Texts{"finish 0", "finish 1"});
  CHECK(rig.closed(0).rows[1].missed);
  CHECK_FALSE(rig.closed(1).rows[1].missed);
}

TEST_CASE("if the members of the first round are absent the later ones are judged at once") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::degrade, 0, 3));
  rig.dies(0);
  rig.take();
  open(rig);
  CHECK(rig.take() == Texts{"judge 0"});
  rig.supervisor.go_on(0, NextRound{1, 10}, rig.now);
  CHECK(rig.take() == Texts{"task 1 s0"});
}

}  // namespace
}  // namespace tutti::test
