// The supervisor step by step while no worker dies: starting, tasks, answers, commands. Training, time, deaths and
// poison have separate files.
#include "coordinator/decide/supervisor.hpp"

#include <doctest/doctest.h>

#include "tests/common/death.hpp"
#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

using Command = Supervisor::Command;

TEST_CASE("all workers are started and run once they are ready") {
  Rig rig(rig_setting(2));
  rig.supervisor.start(rig.now);
  CHECK(rig.take() == Texts{"spawn 0 g0", "spawn 1 g0"});
  CHECK(rig.supervisor.state(0) == WorkerState::starting);
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1"});
  CHECK(rig.supervisor.state(1) == WorkerState::running);
  CHECK_FALSE(rig.supervisor.all_running());
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0"});
  CHECK(rig.supervisor.all_running());
}

TEST_CASE("members that are not ready in time at the first start end the pool and are all named") {
  Rig rig(rig_setting(3));
  rig.supervisor.start(rig.now);
  rig.ready(1);
  rig.take();
  CHECK(rig.supervisor.next_wake() == rig.now + std::chrono::seconds(120));
  rig.pass(119.9);
  rig.tick();
  CHECK(rig.take().empty());
  rig.pass(0.1);
  rig.tick();
  CHECK(rig.take() == Texts{"fail: not ready within 120 s: m0 on cpu:0, m2 on cpu:2"});
  CHECK(rig.error->kind() == ErrorKind::failed);
  CHECK(rig.error->hint() == "raise 'start_deadline_s' if loading and warm-up take that long");
}

TEST_CASE("nothing has a deadline while debugging and a stall starts deadlines again") {
  auto setting = rig_setting(1);
  Rig rig(setting);
  rig.supervisor.start(rig.now);
  rig.pass(119);
  rig.supervisor.stalled(rig.now);
  rig.pass(119);
  rig.tick();
  CHECK(rig.take() == Texts{"spawn 0 g0"});
  setting.deadlines = false;
  Rig debugged(setting);
  debugged.supervisor.start(debugged.now);
  CHECK_FALSE(debugged.supervisor.next_wake());
  debugged.ready(0);
  debugged.open();
  CHECK_FALSE(debugged.supervisor.next_wake());
}

TEST_CASE("a worker that says twice that it is ready breaks the protocol") {
  Rig rig = Rig::running(rig_setting(1));
  rig.ready(0);
  CHECK(rig.take() == Texts{"kill 0"});
  rig.dies(0);
  CHECK(rig.take() ==
        Texts{"m0 on cpu:0 broke the protocol: it said twice that it is ready; it was killed; replacement started",
              "spawn 0 g1"});
}

TEST_CASE("a segment is handed to all members asked and finished once with the last answer") {
  Rig rig = Rig::running(rig_setting(3));
  const auto segment = rig.supervisor.open(2, 7, TaskKind::predict, {true, false, true}, 5, false, rig.now);
  REQUIRE(segment == SegmentId(0));
  CHECK(rig.take() == Texts{"task 0 s0", "task 2 s0"});
  CHECK(rig.task(0).slot == SlotId(2));
  CHECK(rig.task(0).images == 7);
  CHECK(rig.supervisor.busy());
  CHECK(rig.answer(2) == Acceptance::accepted);
  CHECK(rig.take().empty());
  CHECK(rig.answer(0) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK_FALSE(rig.supervisor.busy());
  const Ledger::Segment& closed = rig.closed(0);
  CHECK(closed.slot == SlotId(2));
  CHECK(closed.images == 7);
  CHECK_FALSE(closed.set_aside);
  CHECK(closed.rows[0].present);
  CHECK_FALSE(closed.rows[1].asked);
  CHECK(closed.rows[2].present);
}

TEST_CASE("an answer that was not asked for ends the worker and nothing more of it counts") {
  for (int way = 0; way < 4; ++way) {
    CAPTURE(way);
    Rig rig = Rig::running(rig_setting(2));
    rig.open();
    rig.open();
    rig.take();
    CompletionRecord record = Rig::answer_to(rig.task(0));
    if (way == 0) ++record.slot;
    if (way == 1) ++record.generation;
    if (way == 2) record.segment = 77;
    if (way == 3) {
      rig.answer(0);  // and then once more
      rig.take();
    }
    CHECK(rig.supervisor.completion(0, 0, record, rig.now) == Acceptance::violation);
    CHECK(rig.take() == Texts{"kill 0"});
    CHECK(rig.supervisor.state(0) == WorkerState::ending);
    CHECK(rig.answer(0) == Acceptance::dropped);
    rig.supervisor.violation(0, "something else", rig.now);
    rig.dies(0);
    const Texts texts = rig.take();
    REQUIRE(texts.size() == 2);
    CHECK(
        texts[0].starts_with("m0 on cpu:0 broke the protocol: it answered a task that it was not given; it was "
                             "killed; replacement started, "));
    CHECK(rig.supervisor.counts().violations == 1);
    CHECK(rig.supervisor.counts().deaths == 1);
  }
}

TEST_CASE("a worker answers in the order of its tasks or breaks the protocol") {
  Rig rig = Rig::running(rig_setting(1));
  rig.open();
  rig.take();
  TaskRecord second;
  rig.open();
  while (const auto action = rig.supervisor.next()) second = std::get<action::HandOut>(*action).task;
  CHECK(rig.supervisor.completion(0, 0, Rig::answer_to(second), rig.now) == Acceptance::violation);
  rig.take();
  rig.dies(0);
  CHECK(rig.take().front() ==
        "m0 on cpu:0 broke the protocol: it answered a task before an earlier one; it was killed; replacement "
        "started, 2 segments handed out again");
}

TEST_CASE("an answer that is not finite fails its call or is left out or is let through") {
  auto setting = rig_setting(2);
  {
    Rig rig = Rig::running(setting);
    rig.open();
    rig.take();
    rig.answer(1, CompletionStatus::not_finite);
    CHECK(rig.take() == Texts{"fail call of s0: m1 on cpu:1 predicted NaN or infinity on segment 100"});
    CHECK(rig.error->detail() == "first in image 3 of the segment");
    CHECK(rig.blamed == 3U);
    CHECK(rig.error->hint() ==
          "check the model and its input; 'on_nan: allow' lets such values into the result, 'on_nan: degrade' leaves "
          "the member out of the segment");
    // The pool continues, with this segment and with others.
    rig.open();
    CHECK(rig.take() == Texts{"task 0 s1", "task 1 s1"});
    rig.answer(0);
    CHECK(rig.take() == Texts{"finish 0"});
  }
  setting.policy.on_nan = OnNan::allow;
  {
    Rig rig = Rig::running(setting);
    rig.open();
    rig.take();
    rig.answer(1, CompletionStatus::not_finite);
    rig.answer(0);
    CHECK(rig.take() == Texts{"finish 0"});
    CHECK(rig.closed(0).rows[1].present);
  }
  setting.policy.on_nan = OnNan::degrade;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  CHECK(rig.answer(1, CompletionStatus::not_finite) == Acceptance::accepted);
  CHECK(rig.take() == Texts{"m1 on cpu:1 predicted NaN or infinity on segment 100, first in image 3 of the "
                            "segment; this output is left out"});
  CHECK(rig.supervisor.counts().not_finite_dropped == 1);
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  const Ledger::Segment& closed = rig.closed(0);
  CHECK(closed.rows[1].answered);
  CHECK_FALSE(closed.rows[1].present);
  CHECK_FALSE(closed.set_aside);
}

TEST_CASE("a segment in which no answer is left is set aside") {
  auto setting = rig_setting(1);
  setting.policy.on_nan = OnNan::degrade;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  rig.answer(0, CompletionStatus::not_finite);
  CHECK(rig.take().back() == "finish 0");
  CHECK(rig.closed(0).set_aside);
  CHECK(rig.supervisor.counts().set_aside == 1);
}

TEST_CASE("a loss that is not finite ends the pool even if such outputs are allowed") {
  auto setting = rig_setting(1);
  setting.policy.on_nan = OnNan::allow;
  Rig rig = Rig::running(setting);
  rig.begin_training();
  rig.open(TaskKind::train);
  rig.take();
  rig.answer(0, CompletionStatus::not_finite);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 diverged: its loss is NaN or infinite"});
  CHECK(rig.error->hint() == "lower its 'learning_rate', or look at the images and their labels");
}

TEST_CASE("a segment in a slot that is not free is a failed check") {
  Rig rig = Rig::running(rig_setting(1));
  rig.open();
  const auto open_in = [&](std::uint32_t slot, std::uint32_t images) {
    return failed_check(
        [&] { rig.supervisor.open(SlotId(slot), images, TaskKind::predict, {true}, 0, false, rig.now); });
  };
  CHECK(open_in(0, 10).ends_with("a slot is filled again only when nobody needs its images"));
  CHECK(open_in(4, 10) == "slot.value() < setting_.slots (4 < 4)");
  CHECK(open_in(1, 11) == "images <= setting_.segment_images (11 <= 10)");
  rig.take();
  rig.supervisor.violation(0, "nonsense", rig.now);
  rig.pass(10);
  rig.tick();  // abandoned
  rig.ready(0);
  rig.take();
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(open_in(0, 10).ends_with("an abandoned process may still read this slot"));
}

TEST_CASE("checkpoints that the slots do not reach are a failed check") {
  auto setting = rig_setting(1, 4);
  setting.checkpoint_segments = 4;
  CHECK(failed_check([&] {
          Rig rig(setting);
        }).ends_with("there are slots for all tasks from one checkpoint to the next"));
}

TEST_CASE("a command is told to all and done when all have answered") {
  Rig rig = Rig::running(rig_setting(2));
  rig.supervisor.command(Command::save, rig.now);
  CHECK(rig.take() == Texts{"tell 0", "tell 1"});
  CHECK(rig.supervisor.busy());
  rig.done(1);
  CHECK(rig.take().empty());
  rig.done(0);
  CHECK(rig.take() == Texts{"command done"});
  CHECK_FALSE(rig.supervisor.busy());
}

TEST_CASE("the first problem of a command is reported and the pool lives") {
  Rig rig = Rig::running(rig_setting(3));
  rig.supervisor.command(Command::begin_training, rig.now);
  rig.done(0);
  rig.supervisor.done(1, {"the disk is full", "make room"}, rig.now);
  rig.supervisor.done(2, {"another", ""}, rig.now);
  rig.take();
  rig.supervisor.command(Command::save, rig.now);
  for (std::size_t rank = 0; rank < 2; ++rank) rig.done(rank);
  rig.supervisor.done(2, {"the disk is full", "make room"}, rig.now);
  std::optional<Error> problem;
  while (const auto action = rig.supervisor.next())
    if (const auto* done = std::get_if<action::CommandDone>(&*action)) problem = done->problem;
  REQUIRE(problem);
  CHECK(problem->message() == "m2 on cpu:2: the disk is full");
  CHECK(problem->hint() == "make room");
  CHECK(rig.open() == SegmentId(0));
  // A member that could not begin has no training to return to.
  rig.take();
  rig.dies(1);
  rig.ready(1);
  CHECK(rig.take().back() == "task 1 s0");
}

TEST_CASE("a command waits for the tasks before it and holds up those after it") {
  Rig rig = Rig::running(rig_setting(1));
  rig.open();
  rig.take();
  rig.supervisor.command(Command::save, rig.now);
  rig.open();
  CHECK(rig.take().empty());
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0", "tell 0"});
  rig.done(0);
  CHECK(rig.take() == Texts{"command done", "task 0 s1"});
}

TEST_CASE("an answer to a command that was not given breaks the protocol") {
  Rig rig(rig_setting(1));
  rig.supervisor.start(rig.now);
  rig.done(0);
  CHECK(rig.take() == Texts{"spawn 0 g0", "kill 0"});
  rig.dies(0);
  CHECK(rig.take().front() ==
        "m0 on cpu:0 broke the protocol: it answered a command that it was not given; it was killed; replacement "
        "started");
  Rig idle = Rig::running(rig_setting(1));
  idle.done(0);
  CHECK(idle.take() == Texts{"kill 0"});
}

}  // namespace
}  // namespace tutti::test
