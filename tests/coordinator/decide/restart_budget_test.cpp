// Replacements that never become ready: each may take longer to fail than the window of the restart budget, and still
// they are not repeated without end.
#include <doctest/doctest.h>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

/// The replacement of member 0 is started and killed at its deadline of 120 s, twice the window of the budget.
void start_in_vain(Rig& rig) {
  rig.pass(5);
  rig.tick();
  rig.take();
  REQUIRE(rig.supervisor.state(0) == WorkerState::starting);
  rig.pass(120);
  rig.tick();
  CHECK(rig.take() == Texts{"kill 0"});
  rig.dies(0);
}

TEST_CASE("replacements that are never ready in time end the pool although each takes longer than the window") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, 5, 1));
  rig.open();
  rig.take();
  rig.dies(0);
  for (int n = 0; n < 4; ++n) {
    start_in_vain(rig);
    const Texts texts = rig.take();
    CHECK(contains(texts.front(), "m0 on cpu:0 was not ready within 120 s; it was killed; replacement in "));
  }
  start_in_vain(rig);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 was not ready within 120 s"});
  REQUIRE(rig.error);
  CHECK(rig.error->kind() == ErrorKind::failed);
  CHECK(rig.error->hint() ==
        "raise 'start_deadline_s' if loading and warm-up take that long; its restart budget is spent (5 replacements "
        "in a row never became ready); look at what the worker printed, or raise 'restarts'");
}

TEST_CASE("with degrade the ensemble continues without a member whose replacement is never ready") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::degrade, 1));
  rig.open();
  rig.take();
  rig.answer(1);
  rig.dies(0);
  start_in_vain(rig);
  CHECK(rig.take() == Texts{"m0 on cpu:0 was not ready within 120 s; it was killed; its restart budget is spent (1 "
                            "replacement never became ready), and the ensemble continues without it from segment 100",
                            "finish 0"});
}

TEST_CASE("a replacement that becomes ready lets the deaths before it be forgotten") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, 2, 1));
  for (int n = 0; n < 3; ++n) {
    rig.dies(0);
    start_in_vain(rig);
    rig.pass(5);
    rig.tick();
    rig.ready(0);
    CHECK(rig.take().back() == "begin 0");
    rig.pass(60);
  }
  rig.dies(0);
  start_in_vain(rig);
  rig.take();
  start_in_vain(rig);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 was not ready within 120 s"});
}

TEST_CASE("a worker that is never brought to the state of its member has not become ready") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, 2, 1));
  rig.begin_training();
  rig.dies(0);
  for (int n = 0; n < 2; ++n) {
    CHECK_FALSE(rig.error);
    rig.pass(5);
    rig.tick();
    rig.ready(0);
    CHECK(rig.take().back().starts_with("prepare 0"));
    rig.pass(120);
    rig.tick();
    rig.dies(0);
  }
  CHECK(rig.take().back() == "fail: m0 on cpu:0 was not ready within 120 s");
  REQUIRE(rig.error);
  CHECK(contains(rig.error->hint(), "(2 replacements in a row never became ready)"));
}

TEST_CASE("without a limit replacements that are never ready follow one another for ever") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, std::nullopt, 1));
  rig.dies(0);
  for (int n = 0; n < 50; ++n) start_in_vain(rig);
  CHECK_FALSE(rig.error);
}

}  // namespace
}  // namespace tutti::test
