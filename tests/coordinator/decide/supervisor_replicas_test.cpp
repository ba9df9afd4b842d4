// Replicas of a member, step by step: who gets a segment, what happens to those of one that dies, and when an idle one
// takes over what another has.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

/// m0 has the workers 0, 1, ...
SupervisorSetting replicated(std::size_t workers = 2, std::uint32_t slots = 6) {
  auto setting = rig_setting(1, slots);
  ByWorker<std::vector<Rank>> units;
  for (std::size_t worker = 0; worker < workers; ++worker) units.push_back({0});
  set_hosting(setting, Hosting(std::move(units)));
  setting.policy.back_off = 0;
  setting.policy.poison_limit = 2;
  return setting;
}

/// Each replica has answered a segment, in so many seconds.
Rig paced(SupervisorSetting setting, const std::vector<double>& seconds) {
  Rig rig = Rig::running(std::move(setting));
  const auto start = rig.now;
  for (std::size_t worker = 0; worker < seconds.size(); ++worker) rig.open();
  rig.take();
  for (std::size_t worker = 0; worker < seconds.size(); ++worker) {
    rig.now = start;
    rig.pass(seconds[worker]);
    CHECK(rig.answer_as(worker) == Acceptance::accepted);
  }
  rig.take();
  return rig;
}

TEST_CASE("each replica gets a segment and the next goes to the one that is free") {
  Rig rig = Rig::running(replicated());
  rig.open();
  rig.open();
  rig.open();
  CHECK(rig.take() == Texts{"task 0 to 0 s0", "task 0 to 1 s1"});
  rig.pass(1);
  CHECK(rig.answer_as(1) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"finish 1", "task 0 to 1 s2"});
  rig.answer_as(0);
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 0", "finish 2"});
}

TEST_CASE("replicas of short tasks get the next one while they compute and others do not") {
  Rig quick = paced(replicated(), {0.001, 0.001});
  Rig slow = paced(replicated(), {0.5, 0.5});
  for (int n = 0; n < 4; ++n) {
    quick.open();
    slow.open();
  }
  CHECK(quick.take() == Texts{"task 0 to 0 s2", "task 0 to 1 s3", "task 0 to 0 s4", "task 0 to 1 s5"});
  CHECK(slow.take() == Texts{"task 0 to 0 s2", "task 0 to 1 s3"});
}

TEST_CASE("a segment goes to the replica that will finish it first") {
  Rig rig = paced(replicated(), {0.010, 0.001});
  rig.open();
  rig.open();
  rig.open();
  // The second of the fast one is done after 2 ms, that of the slow one after 10.
  CHECK(rig.take() == Texts{"task 0 to 1 s2", "task 0 to 1 s3", "task 0 to 0 s4"});
}

TEST_CASE("the segments of a replica that dies go to its sisters at once") {
  Rig rig = paced(replicated(), {0.001, 0.001});
  for (int n = 0; n < 4; ++n) rig.open();
  rig.take();
  rig.answer_as(1);
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 (replica 1 of 2) on cpu:0 died: killed by SIGKILL on segment 102; replacement started, "
                            "2 segments handed out again",
                            "spawn 0 g1", "task 0 to 1 s2"});
  // That one may have killed it: nothing is handed out behind it.
  CHECK(rig.answer_as(1) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"finish 5"});
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 2", "task 0 to 1 s4"});
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 4"});
}

TEST_CASE("a segment that kills one replica after the other is set aside") {
  auto setting = replicated(3);
  setting.policy.on_poison = OnPoison::set_aside;
  Rig rig = Rig::running(setting);
  rig.open();
  CHECK(rig.take() == Texts{"task 0 to 0 s0"});
  rig.dies(0);
  CHECK(rig.take().back() == "task 0 to 1 s0");
  rig.dies(1);
  CHECK(rig.take().back() == "task 0 to 2 s0");
  rig.dies(2);
  const Texts end = rig.take();
  CHECK(end.front() == "finish 0");
  CHECK(rig.closed(0).set_aside);
  CHECK(rig.supervisor.counts().set_aside == 1);
}

TEST_CASE("a replica that had computed other segments proves nothing against the one that it dies on") {
  auto setting = replicated(2);
  setting.policy.poison_limit = 1;
  setting.policy.on_poison = OnPoison::set_aside;
  Rig rig = paced(setting, {1, 1});
  rig.open();
  CHECK(rig.take() == Texts{"task 0 to 0 s2"});
  rig.dies(0);
  CHECK(rig.take().back() == "task 0 to 1 s2");
  rig.dies(1);  // it had answered another
  CHECK(rig.supervisor.counts().set_aside == 0);
  rig.take();
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 0 to 1 s2"});
  rig.dies(1);
  CHECK(rig.supervisor.counts().set_aside == 1);
}

TEST_CASE("an idle replica takes over what a slower one would finish later and the first answer counts") {
  Rig rig = paced(replicated(), {5, 1});
  rig.open();
  rig.open();
  CHECK(rig.take() == Texts{"task 0 to 1 s2", "task 0 to 0 s3"});
  rig.pass(1);
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 2", "hold 3", "task 0 to 1 s3 too"});
  rig.pass(1);
  CHECK(rig.answer_as(1) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"finish 3"});
  CHECK(rig.closed(3).rows[0].by == WorkerId(1));
  // The slow one still reads the slot; the end of a run does not wait for it.
  rig.pass(3);
  CHECK(rig.answer_as(0) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"release 3"});
  CHECK(rig.supervisor.counts().taken_over == 1);
  CHECK(rig.supervisor.counts().handed_out_again == 0);
}

TEST_CASE("what the slow one answers first is not waited for twice") {
  Rig rig = paced(replicated(), {5, 1});
  rig.open();
  rig.open();
  rig.take();
  rig.pass(1);
  rig.answer_as(1);
  rig.take();
  CHECK(rig.answer_as(0) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"finish 3"});
  CHECK(rig.answer_as(1) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"release 3"});
}

TEST_CASE("an answer that came too late may be NaN and nobody is told") {
  auto setting = replicated();
  setting.policy.on_nan = OnNan::error;
  Rig rig = paced(setting, {5, 1});
  rig.open();
  rig.open();
  rig.take();
  rig.pass(1);
  rig.answer_as(1);
  rig.take();
  rig.answer_as(1);
  CHECK(rig.answer_as(0, CompletionStatus::not_finite) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"finish 3", "release 3"});
}

TEST_CASE("a replica that is later than ever is overtaken without an event") {
  Rig rig = paced(replicated(), {1, 1});
  rig.open();
  CHECK(rig.take() == Texts{"task 0 to 0 s2"});
  REQUIRE(rig.supervisor.next_wake().has_value());
  rig.pass(1.9);
  rig.tick();
  CHECK(rig.take().empty());
  const auto wake = rig.supervisor.next_wake().value();
  CHECK(wake > rig.now);
  rig.pass(0.2);
  CHECK(wake < rig.now);
  rig.tick();
  CHECK(rig.take() == Texts{"hold 2", "task 0 to 1 s2 too"});
  CHECK_FALSE(rig.supervisor.next_wake() == wake);
}

TEST_CASE("a task that is done twice comes back only if both are gone") {
  Rig rig = paced(replicated(3), {5, 1, 1});
  rig.open();
  rig.open();
  rig.open();
  rig.take();
  rig.pass(1);
  rig.answer_as(1);
  rig.answer_as(2);
  CHECK(rig.take() == Texts{"finish 3", "hold 5", "task 0 to 1 s5 too", "finish 4"});
  rig.dies(1);
  CHECK(rig.take().size() == 2);  // a line and spawn: as long as the first has it, nobody takes it over again
  rig.dies(2);
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  rig.ready(1);
  // All three died of it, or of nothing.
  CHECK(rig.take() == Texts{"begin 1", "task 0 to 1 s5"});
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 5", "release 5"});
}

TEST_CASE("a segment of which a replica died is not taken over again while its sister has it") {
  Rig rig = paced(replicated(), {5, 1});
  rig.open();
  rig.open();
  rig.take();
  rig.pass(1);
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 2", "hold 3", "task 0 to 1 s3 too"});
  rig.dies(1);
  rig.take();
  rig.ready(1);
  rig.pass(7);
  rig.tick();
  CHECK(rig.take() == Texts{"begin 1"});
  // The other dies of it, too: from now on it is tried alone.
  rig.dies(0);
  CHECK(rig.take().back() == "task 0 to 1 s3");
  rig.open();
  CHECK(rig.take().empty());
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 3", "release 3", "task 0 to 1 s4"});
}

TEST_CASE("nothing is taken over from a replica that was killed for hanging") {
  auto setting = replicated();
  setting.policy.progress = config::FailureSpec::Deadline::fixed;
  setting.policy.progress_deadline = 2;
  Rig rig = paced(setting, {5, 5});
  rig.open();
  rig.take();
  rig.pass(3);
  rig.tick();
  CHECK(rig.take() == Texts{"kill 0"});
  rig.pass(20);
  rig.tick();
  const Texts late = rig.take();
  CHECK(std::ranges::none_of(late, [](const std::string& text) { return text.ends_with("too"); }));
}

TEST_CASE("an idle replica takes over a segment for all members of the unit") {
  for (const UnitMode mode : {UnitMode::loop, UnitMode::threads, UnitMode::fused}) {
    auto setting = rig_setting(2, 6);
    set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0, 1}, {0, 1}}));
    setting.modes = {mode, mode};
    Rig rig = Rig::running(setting);
    const auto start = rig.now;
    rig.open();
    rig.open();
    rig.take();
    for (const std::size_t worker : {0U, 1U}) {
      rig.now = start;
      rig.pass(worker == 0 ? 5 : 1);
      rig.answer_as(worker);
      rig.answer_as(worker);
    }
    rig.take();
    rig.open();
    rig.open();
    CHECK(rig.take() == Texts{"task 0 to 1 s2", "task 1 to 1 s2", "task 0 to 0 s3", "task 1 to 0 s3"});
    rig.pass(1);
    rig.answer_as(1);
    rig.answer_as(1);
    CHECK(rig.take() == Texts{"finish 2", "hold 3", "task 0 to 1 s3 too", "task 1 to 1 s3 too"});
    CHECK(rig.task(0).more == 1);
  }
}

TEST_CASE("an even pace of a shared replica is no reason to take over") {
  auto setting = rig_setting(2, 6);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0, 1}, {0, 1}}));
  setting.modes = {UnitMode::fused, UnitMode::fused};
  Rig rig = Rig::running(setting);
  rig.open();
  rig.open();
  rig.take();
  rig.pass(1);
  for (const std::size_t worker : {0U, 0U, 1U, 1U}) rig.answer_as(worker);
  rig.take();
  for (int n = 0; n < 10; ++n) {
    rig.open();
    CHECK(rig.take().size() == 2);  // both members, at the first worker
    rig.pass(0.9);
    rig.tick();
    CHECK(rig.take().empty());
    rig.answer_as(0);
    rig.answer_as(0);
    CHECK(rig.take().size() == 1);
  }
  CHECK(rig.supervisor.counts().taken_over == 0);
}

TEST_CASE("idle replicas take nothing over while that is not allowed") {
  Rig rig = paced(replicated(), {5, 1});
  rig.supervisor.allow_take_over(false);
  rig.open();
  rig.open();
  rig.take();
  rig.pass(1);
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 2"});
  CHECK_FALSE(rig.supervisor.next_soon().has_value());
}

TEST_CASE("a replica that is given up leaves the work to its sisters under either policy") {
  for (const auto policy : {OnWorkerFailure::restart, OnWorkerFailure::degrade}) {
    auto setting = replicated();
    setting.policy.on_worker_failure = policy;
    setting.policy.restart_limit = 0;
    Rig rig = Rig::running(setting);
    rig.open();
    rig.take();
    rig.dies(0);
    CHECK(rig.take() == Texts{"m0 (replica 1 of 2) on cpu:0 died: killed by SIGKILL on segment 100; its restart budget "
                              "is spent (0 within 60 s), and the ensemble continues with its other replicas",
                              "task 0 to 1 s0"});
    CHECK_FALSE(rig.supervisor.absent(0));
    CHECK(rig.supervisor.all_running());
    rig.answer_as(1);
    CHECK(rig.take() == Texts{"finish 0"});
    rig.dies(1);
    rig.take();
    REQUIRE(rig.error);
    CHECK(std::string(rig.error->what()).find("m0 (replica 2 of 2) on cpu:1 died") != std::string::npos);
  }
}

TEST_CASE("members of a replicated worker get a segment together") {
  auto setting = rig_setting(2, 6);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0, 1}, {0, 1}}));
  setting.policy.back_off = 0;
  setting.policy.poison_limit = 2;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.open();
  CHECK(rig.take() == Texts{"task 0 to 0 s0", "task 1 to 0 s0", "task 0 to 1 s1", "task 1 to 1 s1"});
  rig.pass(1);
  rig.answer_as(1);
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 1"});
  rig.answer_as(0);
  rig.dies(0);
  // The second member may have killed it, so its task goes to the sister, and the first member's is answered.
  CHECK(rig.take().back() == "task 1 to 1 s0");
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"finish 0"});
}

}  // namespace
}  // namespace tutti::test
