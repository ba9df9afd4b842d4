// A quorum, step by step: who is waited for, until when, and what becomes of answers that come later.
#include <doctest/doctest.h>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

SupervisorSetting with_quorum(std::optional<std::uint32_t> members, std::optional<double> deadline,
                              std::size_t of = 3) {
  auto setting = rig_setting(of);
  setting.quorum = config::QuorumSpec{members, deadline};
  setting.policy.back_off = 0;
  return setting;
}

std::optional<SegmentId> open(Rig& rig) { return rig.open(TaskKind::predict, false, {{}, true}); }

TEST_CASE("a segment is finished when enough members have answered and its slot when the last has") {
  Rig rig = Rig::running(with_quorum(2, {}));
  open(rig);
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s0", "task 2 s0"});
  rig.answer(0);
  CHECK(rig.take().empty());
  rig.answer(2);
  CHECK(rig.take() == Texts{"hold 0", "finish 0"});
  CHECK(rig.supervisor.counts().not_waited_for == 1);
  const Ledger::Segment& segment = rig.closed(0);
  CHECK(segment.rows[0].present);
  CHECK_FALSE(segment.rows[1].present);
  CHECK(segment.rows[2].present);
  CHECK(rig.answer(1) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"release 0"});
}

TEST_CASE("members pull so that one that is late has few segments that nobody waits for") {
  Rig rig = Rig::running(with_quorum(2, {}));
  for (int segment = 0; segment < 3; ++segment) open(rig);
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s0", "task 2 s0"});
  rig.pass(1);
  rig.answer(0);
  CHECK(rig.take() == Texts{"task 0 s1"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"hold 0", "finish 0", "task 1 s1"});
  rig.pass(1);
  rig.answer(0);
  rig.answer(1);
  // Nobody has segment 1 for the third member, so its slot needs no hold.
  CHECK(rig.take() == Texts{"task 0 s2", "finish 1", "task 1 s2"});
  rig.answer(2);
  CHECK(rig.take() == Texts{"release 0", "task 2 s2"});
}

TEST_CASE("until the deadline all members are waited for and from then on those that are there are enough") {
  Rig rig = Rig::running(with_quorum({}, 0.5));
  open(rig);
  rig.take();
  rig.answer(0);
  CHECK(rig.take().empty());
  CHECK(rig.supervisor.next_soon() == rig.now + std::chrono::milliseconds(500));
  rig.pass(0.4);
  rig.tick();
  CHECK(rig.take().empty());
  rig.pass(0.2);
  rig.tick();
  CHECK(rig.take() == Texts{"hold 0", "finish 0"});
  CHECK_FALSE(rig.supervisor.next_soon().has_value());
  CHECK(rig.supervisor.counts().not_waited_for == 2);
}

TEST_CASE("if too few have answered at the deadline the next answers are waited for") {
  Rig rig = Rig::running(with_quorum(2, 0.5));
  open(rig);
  rig.take();
  CHECK_FALSE(rig.supervisor.next_soon().has_value());
  rig.pass(1);
  rig.tick();
  CHECK(rig.take().empty());
  rig.answer(1);
  CHECK(rig.take().empty());
  rig.answer(0);
  CHECK(rig.take() == Texts{"hold 0", "finish 0"});
}

TEST_CASE("a segment that all have answered in time lacks nobody") {
  Rig rig = Rig::running(with_quorum(2, 0.5));
  open(rig);
  rig.take();
  for (std::size_t rank = 0; rank < 3; ++rank) rig.answer(rank);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.supervisor.counts().not_waited_for == 0);
}

TEST_CASE("a worker that dies with a segment that nobody waits for gives its slot back") {
  Rig rig = Rig::running(with_quorum(2, {}));
  open(rig);
  rig.take();
  rig.answer(0);
  rig.answer(1);
  rig.take();
  rig.dies(2);
  const Texts texts = rig.take();
  CHECK(std::ranges::count(texts, "release 0") == 1);
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2"});
}

TEST_CASE("a segment that nobody waits for is not blamed for the death of the worker that retries it alone") {
  auto setting = with_quorum(2, {});
  setting.policy.poison_limit = 1;
  Rig rig = Rig::running(setting);
  open(rig);
  rig.take();
  rig.dies(2);  // the segment is suspect now
  rig.take();
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2", "task 2 s0"});
  rig.answer(0);
  rig.answer(1);
  CHECK(rig.take() == Texts{"hold 0", "finish 0"});
  rig.dies(2);
  const Texts texts = rig.take();
  CHECK(std::ranges::count(texts, "release 0") == 1);
  CHECK(rig.supervisor.counts().set_aside == 0);
}

TEST_CASE("an answer of NaN that is left out is none") {
  auto setting = with_quorum(2, {});
  setting.policy.on_nan = OnNan::degrade;
  Rig rig = Rig::running(setting);
  open(rig);
  rig.take();
  rig.answer(0, CompletionStatus::not_finite);
  rig.answer(1);
  CHECK(std::ranges::count(rig.take(), "finish 0") == 0);
  rig.answer(2);
  CHECK(rig.take() == Texts{"finish 0"});
}

/// m0 has the stages of ranks 1, 2 and 0, in the workers of these numbers; the others are members of their own.
Rig with_chain(std::uint32_t members, std::size_t ranks) {
  auto setting = with_quorum(members, {}, ranks);
  ByRank<std::optional<Rank>> fed_by(ranks);
  fed_by[0] = Rank(2);
  fed_by[2] = Rank(1);
  setting.chains = Chains(std::move(fed_by));
  Rig rig(std::move(setting));
  rig.supervisor.start(rig.now);
  for (std::size_t worker = 1; worker < ranks; ++worker) rig.ready(worker);
  rig.ready(0);
  rig.take();
  REQUIRE(rig.supervisor.all_running());
  return rig;
}

TEST_CASE("stages of a member that is not waited for are neither handed out nor waited for") {
  Rig rig = with_chain(1, 4);
  open(rig);
  open(rig);
  CHECK(rig.take() == Texts{"task 1 s0", "task 3 s0"});
  rig.pass(1);
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 2 s0", "task 1 s1"});
  rig.answer(3);
  CHECK(rig.take() == Texts{"hold 0", "finish 0", "task 3 s1"});
  CHECK(rig.supervisor.counts().not_waited_for == 1);
  CHECK(rig.closed(0).rows[3].present);
  CHECK_FALSE(rig.closed(0).rows[0].present);
  CHECK(rig.answer(2) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"release 0"});
  rig.pass(1);
  rig.answer(3);
  CHECK(rig.take() == Texts{"hold 1", "finish 1"});
  CHECK(rig.answer(1) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"release 1"});
  CHECK(rig.supervisor.counts().not_waited_for == 2);
  rig.supervisor.check_invariants();
}

TEST_CASE("of a member with stages only the last answer counts for the quorum") {
  Rig rig = with_chain(2, 5);
  open(rig);
  rig.take();
  for (const std::size_t rank : {1, 2, 3}) {
    rig.answer(rank);
    CHECK(std::ranges::count(rig.take(), "finish 0") == 0);
  }
  rig.answer(0);
  CHECK(rig.take() == Texts{"hold 0", "finish 0"});
  CHECK(rig.closed(0).rows[0].present);
  CHECK_FALSE(rig.closed(0).rows[4].present);
}

TEST_CASE("a stage that dies with a segment that nobody waits for gives its slot back and is not asked again") {
  Rig rig = with_chain(1, 4);
  open(rig);
  rig.take();
  rig.answer(1);
  rig.take();
  rig.answer(3);
  CHECK(rig.take() == Texts{"hold 0", "finish 0"});
  rig.dies(2);
  const Texts texts = rig.take();
  CHECK(std::ranges::count(texts, "release 0") == 1);
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2"});
}

TEST_CASE("streams without the terms of a quorum wait for every member") {
  Rig rig = Rig::running(with_quorum(1, {}));
  rig.open();
  rig.take();
  rig.answer(0);
  rig.answer(1);
  CHECK(rig.take().empty());
  rig.answer(2);
  CHECK(rig.take() == Texts{"finish 0"});
}

}  // namespace
}  // namespace tutti::test
