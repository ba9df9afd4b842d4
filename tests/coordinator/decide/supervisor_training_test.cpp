// The supervisor step by step in training: checkpoints, slots that are kept for them, and members that are restored
// to their state.
#include <doctest/doctest.h>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

using Command = Supervisor::Command;

SupervisorSetting degrading() {
  auto setting = rig_setting(2);
  setting.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.policy.restart_limit = 0;
  return setting;
}

TEST_CASE("every second training task makes a checkpoint and the files take turns") {
  Rig rig = Rig::running(rig_setting(1));
  rig.begin_training();
  Texts all;
  for (int n = 0; n < 7; ++n) {
    rig.open(TaskKind::train, n == 6);
    for (auto& text : rig.take())
      if (text.starts_with("task")) all.push_back(text);
    rig.answer(0);
    rig.take();
  }
  CHECK(all ==
        Texts{"task 0 s0", "task 0 s1 c1", "task 0 s2", "task 0 s3 c2", "task 0 s4", "task 0 s5 c1", "task 0 s6 c2"});
}

TEST_CASE("no checkpoint is asked for before the one before it counts") {
  auto setting = rig_setting(1);
  setting.checkpoint_segments = 1;
  Rig rig = Rig::running(setting);
  rig.begin_training();
  rig.open(TaskKind::train);
  rig.open(TaskKind::train);
  CHECK(rig.take() == Texts{"hold 0", "task 0 s0 c1", "hold 1"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0", "release 0", "task 0 s1 c2"});
}

TEST_CASE("the slot of a training segment is kept until every member has it in a checkpoint") {
  Rig rig = Rig::running(rig_setting(2));
  rig.begin_training();
  rig.open(TaskKind::train);
  CHECK(rig.take() == Texts{"hold 0", "task 0 s0", "task 1 s0"});
  rig.answer(0);
  rig.answer(1);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.closed(0).rows[0].answered);
  rig.open(TaskKind::train);
  rig.take();
  rig.answer(0);
  CHECK(rig.take().empty());
  rig.answer(1);
  CHECK(rig.take() == Texts{"finish 1", "release 0", "release 1"});
}

TEST_CASE("a new training starts from the state at the end of the last one") {
  Rig rig = Rig::running(rig_setting(1));
  rig.begin_training();
  rig.open(TaskKind::train, true);
  rig.take();
  rig.answer(0);
  rig.take();
  rig.begin_training();
  rig.dies(0);
  rig.ready(0);
  CHECK(rig.take().back() == "prepare 0 from 0 and begin");
}

TEST_CASE("a new training forgets what was not in a checkpoint") {
  Rig rig = Rig::running(rig_setting(1));
  rig.begin_training();
  rig.open(TaskKind::train);
  rig.take();
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  rig.supervisor.command(Command::begin_training, rig.now);
  CHECK(rig.take() == Texts{"release 0", "tell 0"});
}

TEST_CASE("a training member continues from its checkpoint with all later tasks again") {
  Rig rig = Rig::running(rig_setting(1));
  rig.begin_training();
  for (int n = 0; n < 3; ++n) rig.open(TaskKind::train);
  rig.take();
  for (int n = 0; n < 3; ++n) rig.answer(0);  // 0 and 1 are in checkpoint file 0
  CHECK(rig.take() == Texts{"finish 0", "finish 1", "release 0", "release 1", "finish 2"});
  rig.open(TaskKind::train);
  CHECK(rig.take() == Texts{"hold 3", "task 0 s3 c2"});
  rig.dies(0);
  CHECK(rig.take().front() ==
        "m0 on cpu:0 died: killed by SIGKILL on segment 103; replacement started, 2 segments handed out again");
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "prepare 0 from 0"});
  CHECK(rig.supervisor.state(0) == WorkerState::starting);
  rig.done(0);
  CHECK(rig.take() == Texts{"task 0 s2", "task 0 s3 c2"});
  CHECK(rig.answer(0) == Acceptance::repeated);
  CHECK(rig.take().empty());
  CHECK(rig.answer(0) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"finish 3", "release 2", "release 3"});
}

TEST_CASE("a training member without a checkpoint starts again") {
  Rig rig = Rig::running(rig_setting(2));
  rig.begin_training();
  rig.open(TaskKind::train);
  rig.take();
  rig.dies(0);
  rig.ready(0);
  const Texts texts = rig.take();
  CHECK(texts.back() == "prepare 0");
  rig.done(0);
  CHECK(rig.take() == Texts{"task 0 s0"});
}

TEST_CASE("a replacement in a command is restored and told again or begins by that") {
  Rig rig = Rig::running(rig_setting(1));
  rig.supervisor.command(Command::begin_training, rig.now);
  rig.dies(0);
  rig.take();
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "prepare 0"});
  rig.done(0);
  CHECK(rig.take() == Texts{"command done"});
  rig.supervisor.command(Command::save, rig.now);
  rig.take();
  rig.dies(0);
  rig.pass(1);
  rig.tick();
  rig.ready(0);
  CHECK(rig.take().back() == "prepare 0");
  rig.done(0);
  CHECK(rig.take() == Texts{"tell 0"});
  rig.done(0);
  CHECK(rig.take() == Texts{"command done"});
}

TEST_CASE("the message about a worker that dies while it begins its training says so") {
  Rig rig = Rig::running(rig_setting(1));
  rig.supervisor.command(Command::begin_training, rig.now);
  rig.take();
  rig.dies(0);
  CHECK(rig.take().front() == "m0 on cpu:0 died while beginning its training: killed by SIGKILL; replacement started");
}

TEST_CASE("a member that cannot be brought back to its training ends the pool") {
  Rig rig = Rig::running(rig_setting(1));
  rig.begin_training();
  rig.dies(0);
  rig.ready(0);
  rig.take();
  rig.supervisor.done(0, {"the checkpoint is torn", "its hint"}, rig.now);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 could not be brought back to its training: the checkpoint is torn"});
  CHECK(rig.error->hint() == "its hint");
}

TEST_CASE("a member that cannot be brought back before a new training starts also ends the pool") {
  Rig rig = Rig::running(rig_setting(1));
  rig.begin_training();
  rig.open(TaskKind::train, true);
  rig.take();
  rig.answer(0);
  rig.take();
  rig.supervisor.command(Command::begin_training, rig.now);
  rig.take();
  rig.dies(0);
  rig.ready(0);
  CHECK(rig.take().back() == "prepare 0 from 0 and begin");
  // Otherwise it would start from its initial weights without a message.
  rig.done(0, "the checkpoint is torn");
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 could not be brought back to its training: the checkpoint is torn"});
}

TEST_CASE("an absent member keeps no slots of a training and the others continue") {
  Rig rig = Rig::running(degrading());
  rig.begin_training();
  for (int n = 0; n < 2; ++n) rig.open(TaskKind::train);
  rig.take();
  rig.answer(0);
  for (int n = 0; n < 2; ++n) rig.answer(1);
  CHECK(rig.take() == Texts{"finish 0"});
  rig.dies(0);
  CHECK(rig.take() == Texts{"m0 on cpu:0 died: killed by SIGKILL on segment 101; its restart budget is spent (0 within "
                            "60 s), and the ensemble continues without it from segment 101",
                            "release 0", "finish 1", "release 1"});
  CHECK_FALSE(rig.closed(1).set_aside);
}

/// m0 and m1 share worker 0, m2 has worker 1.
SupervisorSetting learning_together(UnitMode mode) {
  auto setting = rig_setting(3);
  set_hosting(setting, Hosting(ByWorker<std::vector<Rank>>{{0, 1}, {2}}));
  setting.modes = {mode, UnitMode::loop};
  setting.policy.back_off = 0;
  setting.policy.poison_limit = 2;
  return setting;
}

TEST_CASE("the members of a worker are told a command one after the other") {
  Rig rig = Rig::running(learning_together(UnitMode::loop));
  rig.supervisor.command(Command::begin_training, rig.now);
  CHECK(rig.take() == Texts{"tell 0", "tell 2"});
  rig.done(2);
  CHECK(rig.take().empty());
  rig.done(0);
  CHECK(rig.take() == Texts{"tell 1"});
  rig.done(1);
  CHECK(rig.take() == Texts{"command done"});
}

TEST_CASE("a worker that answers for a member that was not told broke the protocol") {
  Rig rig = Rig::running(learning_together(UnitMode::loop));
  rig.supervisor.command(Command::save, rig.now);
  rig.take();
  rig.done(1);
  CHECK(rig.take() == Texts{"kill 0"});
}

TEST_CASE("a new process of a worker brings its members to their states one after the other and then gets tasks") {
  Rig rig = Rig::running(learning_together(UnitMode::loop));
  rig.begin_training();
  for (int n = 0; n < 2; ++n) rig.open(TaskKind::train);
  rig.take();
  for (const std::size_t rank : {0, 0, 1}) rig.answer(rank);  // m0 has made a checkpoint, m1 none
  rig.take();
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "prepare 0 from 0"});
  rig.done(0);
  CHECK(rig.take() == Texts{"prepare 1"});
  rig.done(1);
  // s1 may have killed the worker, so it comes alone, after what came before it.
  CHECK(rig.take() == Texts{"task 1 s0", "task 1 s1 c1"});
  CHECK(rig.answer(1) == Acceptance::repeated);
  CHECK(rig.answer(1) == Acceptance::accepted);
}

TEST_CASE("while a worker brings a member to its state no other is heard") {
  Rig rig = Rig::running(learning_together(UnitMode::threads));
  rig.begin_training();
  rig.dies(0);
  rig.take();
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "prepare 0"});
  rig.done(1);
  CHECK(rig.take() == Texts{"kill 0"});
}

TEST_CASE("no command goes to a worker that computes a task which may have killed one") {
  Rig rig = Rig::running(learning_together(UnitMode::threads));
  rig.open();
  rig.take();
  rig.answer(1);
  rig.answer(2);
  rig.dies(0);
  CHECK(rig.take().back() == "spawn 0 g1");
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s0"});
  rig.supervisor.command(Command::begin_training, rig.now);
  CHECK(rig.take() == Texts{"tell 2"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0", "tell 0"});
}

TEST_CASE("a member that gets a worker of its own continues from its checkpoint there") {
  Rig rig = Rig::running(learning_together(UnitMode::loop));
  rig.begin_training();
  for (int n = 0; n < 3; ++n) rig.open(TaskKind::train);
  rig.take();
  for (const std::size_t rank : {0, 1, 0, 1}) rig.answer(rank);
  rig.take();
  for (const std::size_t generation : {1, 2}) {
    rig.dies(0);
    CHECK(rig.take().back() == "spawn 0 g" + std::to_string(generation));
    rig.ready(0);
    rig.done(0);
    rig.done(1);
    rig.take();
  }
  rig.dies(0);
  const Texts moved = rig.take();
  CHECK(moved.front() == "move 0 from 0 to 2");
  CHECK(moved.back() == "spawn 0 g3");
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2", "prepare 0 from 0"});
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "prepare 1 from 0"});
}

}  // namespace
}  // namespace tutti::test
