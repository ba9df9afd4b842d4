// The supervisor step by step with segments that kill the workers that compute them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a worker that dies before it takes its task is counted and the segment is not blamed") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, 3, 1));
  rig.open();
  rig.take();
  for (int n = 0; n < 3; ++n) {
    rig.supervisor.gone(0, {"killed by SIGKILL", false, {}, 0}, rig.now);
    CHECK(contains(rig.take().front(), "m0 on cpu:0 died before segment 100: killed by SIGKILL; replacement "));
    rig.pass(5);
    rig.tick();
    rig.ready(0);
    CHECK(rig.take().back() == "task 0 s0");
  }
  rig.supervisor.gone(0, {"killed by SIGKILL", false, {}, 0}, rig.now);
  CHECK(contains(rig.take().front(), "fail: m0 on cpu:0 died before segment 100"));
  CHECK(rig.supervisor.counts().set_aside == 0);
}

TEST_CASE("a worker that dies between two tasks does not make the second suspect") {
  Rig rig = Rig::running(with_policy(OnWorkerFailure::restart, 3, 1));
  for (int n = 0; n < 2; ++n) rig.open();
  rig.take();
  rig.answer(0);
  rig.supervisor.gone(0, {"killed by SIGKILL", false, {}, 1}, rig.now);
  rig.open();
  rig.take();
  rig.ready(0);
  // If the second were suspected, the third would have to wait for its answer.
  CHECK(rig.take() == Texts{"begin 0", "task 0 s1", "task 0 s2"});
}

TEST_CASE("a segment that kills three workers that compute nothing else is set aside without using the budget") {
  auto setting = with_policy(OnWorkerFailure::restart, 1, 3);
  Rig rig = Rig::running(setting);
  rig.dies(2);
  rig.take();
  for (int n = 0; n < 2; ++n) rig.open();  // member 2 is still starting
  rig.take();
  rig.dies(0);  // uses the budget
  for (int n = 0; n < 2; ++n) {
    rig.ready(0);
    CHECK(rig.take().back() == "task 0 s0");
    rig.dies(0);
    rig.pass(5);
    rig.tick();
  }
  rig.ready(0);
  rig.take();
  rig.dies(0);
  const Texts texts = rig.take();
  REQUIRE(texts.size() == 1);
  CHECK(texts[0] ==
        "m0 on cpu:0 died: killed by SIGKILL on segment 100; segment 100 (images 1000 to 1009) has killed 3 "
        "workers that computed nothing else and is set aside; replacement in 0.4 s, 1 segment handed out "
        "again");
  CHECK(rig.supervisor.counts().set_aside == 1);
  rig.pass(5);
  rig.tick();
  rig.ready(0);
  CHECK(rig.take() == Texts{"spawn 0 g4", "begin 0", "task 0 s1"});
  rig.ready(2);
  CHECK(rig.take() == Texts{"begin 2", "task 2 s1"});
  rig.answer(1);  // it had started on the segment, so the pool waits for it
  CHECK(rig.take() == Texts{"finish 0"});
  const Ledger::Segment& closed = rig.closed(0);
  CHECK(closed.set_aside);
  CHECK(closed.rows[0].abandoned);
  CHECK(closed.rows[1].answered);
  CHECK(closed.rows[2].abandoned);
}

TEST_CASE("a segment that sets images aside names those of its call and not those that fill its batches") {
  auto setting = with_policy(OnWorkerFailure::restart, 5, 1);
  setting.policy.poison_limit = 1;
  Rig rig = Rig::running(setting);
  Terms terms;
  terms.extent = {4, 403};  // the index of the segment is 100, and it has 10 images
  rig.open(TaskKind::predict, false, terms);
  rig.take();
  die_again(rig, 0);
  rig.take();
  rig.dies(0);
  CHECK(contains(rig.take().back(), "segment 100 (images 400 to 402) has killed 1 worker"));
}

TEST_CASE("a segment that several calls share is not held against anyone") {
  auto setting = with_policy(OnWorkerFailure::restart, 5, 1);
  setting.policy.on_nan = OnNan::degrade;
  Terms shared;
  shared.shared = true;
  Rig rig = Rig::running(setting);
  SUBCASE("because it kills") {
    for (std::uint64_t number = 0; number < 4; ++number) {  // one more than would end the ensemble
      rig.open(TaskKind::predict, false, shared);
      rig.take();
      die_again(rig, 0);
      rig.take();
      rig.dies(0);
      CHECK(contains(rig.take().back(), fmt::format("on segment {}; the calls that share the segment are computed "
                                                    "again one by one; replacement in",
                                                    100 + number)));
      CHECK(rig.closed(SegmentId(number)).set_aside);
      rig.pass(60);
      rig.tick();
      rig.ready(0);
    }
  }
  SUBCASE("because of an output that is not finite") {
    rig.open(TaskKind::predict, false, shared);
    rig.take();
    rig.answer(0, CompletionStatus::not_finite);
    CHECK(rig.take() == Texts{"finish 0"});
    CHECK(rig.closed(0).set_aside);
    CHECK_FALSE(rig.closed(0).rows[0].present);
  }
  CHECK(rig.supervisor.counts().set_aside == 0);
  CHECK(rig.supervisor.counts().not_finite_dropped == 0);
}

TEST_CASE("a segment that was set aside is not tried again by a worker that dies of it") {
  auto setting = with_policy(OnWorkerFailure::restart, 5);
  setting.policy.poison_limit = 1;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.take();
  die_again(rig, 0);
  rig.take();
  rig.dies(0);
  CHECK(contains(rig.take().front(), "has killed 1 worker that computed nothing else and is set aside"));
  rig.dies(1);
  CHECK(rig.take() ==
        Texts{"finish 0", "m1 on cpu:1 died: killed by SIGKILL on segment 100; replacement started", "spawn 1 g1"});
  CHECK(rig.closed(0).rows[1].abandoned);
}

/// The member's worker dies on its segment, and again on nothing but this segment.
Texts spoil(Rig& rig, std::size_t rank) {
  die_again(rig, rank);
  rig.take();
  rig.dies(rank);
  return rig.take();
}

void revive(Rig& rig, std::size_t rank) {
  rig.pass(5);
  rig.tick();
  rig.ready(rank);
  rig.take();
}

TEST_CASE("a member that dies on three segments in a row is to blame and not the segments") {
  for (const OnWorkerFailure policy : {OnWorkerFailure::restart, OnWorkerFailure::degrade}) {
    CAPTURE(to_name(policy));
    auto setting = with_policy(policy, std::nullopt);
    setting.policy.poison_limit = 1;
    setting.deadlines = false;  // the other member does not answer for minutes
    Rig rig = Rig::running(setting);
    for (int n = 0; n < 2; ++n) {
      rig.open();
      rig.take();
      CHECK(contains(spoil(rig, 1).front(), "has killed 1 worker that computed nothing else and is set aside"));
      revive(rig, 1);
    }
    rig.open();
    rig.take();
    const Texts end = spoil(rig, 1);
    CHECK(rig.supervisor.counts().set_aside == 2);
    if (policy == OnWorkerFailure::restart) {
      CHECK(end == Texts{"fail: m1 on cpu:1 died on segment 102: it was killed by SIGKILL"});
      CHECK(rig.error->hint() ==
            "it died on each of the last 3 segments that it was given; look at what the worker printed");
      continue;
    }
    CHECK(end ==
          Texts{"m1 on cpu:1 died: killed by SIGKILL on segment 102; it died on each of the last 3 segments that "
                "it was given, and the ensemble continues without it from segment 102"});
    for (int n = 0; n < 3; ++n) rig.answer(0);
    CHECK(rig.take() == Texts{"finish 0", "finish 1", "finish 2"});
    CHECK(rig.closed(1).set_aside);
    CHECK_FALSE(rig.closed(2).set_aside);
  }
}

TEST_CASE("a member that answers segments in between is not to blame for those that kill it") {
  auto setting = with_policy(OnWorkerFailure::restart, std::nullopt, 1);
  setting.policy.poison_limit = 1;
  Rig rig = Rig::running(setting);
  for (int n = 0; n < 4; ++n) {
    rig.open();
    rig.take();
    CHECK(contains(spoil(rig, 0).back(), "is set aside"));
    revive(rig, 0);
    rig.open();
    rig.take();
    rig.answer(0);
    rig.take();
  }
  CHECK(rig.supervisor.counts().set_aside == 4);
}

TEST_CASE("in training a segment that kills ends the pool") {
  auto setting = with_policy(OnWorkerFailure::restart, 5, 1);
  setting.policy.poison_limit = 2;
  Rig rig = Rig::running(setting);
  rig.begin_training();
  rig.open(TaskKind::train);
  for (int n = 0; n < 2; ++n) {
    die_again(rig, 0);
    rig.done(0);
  }
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 died on segment 100: it was killed by SIGKILL"});
  CHECK(rig.error->detail() == "segment 100 has killed 2 workers that computed nothing else");
  CHECK(rig.error->hint() == "look at its images and their labels; training cannot continue without them");
}

TEST_CASE("with on_poison fail a segment that kills ends its call and the pool continues") {
  auto setting = with_policy(OnWorkerFailure::restart, 5, 1);
  setting.policy.poison_limit = 2;
  setting.policy.on_poison = OnPoison::fail;
  setting.policy.back_off = 0;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.open();
  for (int n = 0; n < 2; ++n) die_again(rig, 0);
  rig.take();
  rig.dies(0);
  const Texts texts = rig.take();
  CHECK(std::ranges::count(texts, "fail call of s0: m0 on cpu:0 died on segment 100: it was killed by SIGKILL") == 1);
  CHECK(std::ranges::count(texts, "finish 0") == 1);
  CHECK(std::ranges::any_of(texts, [](const std::string& text) {
    return contains(text, "has killed 2 workers that computed nothing else and ends its call");
  }));
  CHECK(rig.error->detail() == "segment 100 (images 1000 to 1009) has killed 2 workers that computed nothing else");
  CHECK(rig.error->hint() == "look at these images, or set 'on_poison: set_aside' to continue without them");
  rig.ready(0);
  CHECK(rig.take() == Texts{"begin 0", "task 0 s1"});
}

TEST_CASE("segments that nobody wants any more are handed out to nobody and blamed for nothing") {
  auto setting = with_policy(OnWorkerFailure::restart, 5, 2);
  setting.policy.poison_limit = 1;
  setting.policy.back_off = 0;
  Rig rig = Rig::running(setting);
  rig.open();
  rig.open();
  rig.take();
  rig.answer(0);
  rig.answer(0);
  rig.supervisor.drop(0);
  CHECK(rig.take().empty());  // m1 has it
  rig.dies(1);
  CHECK(std::ranges::count(rig.take(), "finish 0") == 1);
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s1"});
  rig.supervisor.drop(1);
  rig.dies(1);
  CHECK(std::ranges::count(rig.take(), "finish 1") == 1);
  CHECK(rig.supervisor.counts().set_aside == 0);
  CHECK_FALSE(rig.error.has_value());
}

TEST_CASE("a hint from a worker that fails is preferred to the suspicion of its segment") {
  auto setting = with_policy(OnWorkerFailure::restart, 5, 1);
  setting.policy.poison_limit = 1;
  Rig rig = Rig::running(setting);
  rig.begin_training();
  rig.open(TaskKind::train);
  die_again(rig, 0);
  rig.done(0);
  rig.take();
  const control::Failure words{"could not write a checkpoint of 'm0'", "free space in /tmp", false};
  rig.supervisor.gone(0, {"exited with code 1", false, words}, rig.now);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 failed on segment 100: could not write a checkpoint of 'm0'"});
  CHECK(rig.error->hint() == "free space in /tmp");
}

TEST_CASE("without a poison limit nothing is suspected and every death uses the budget") {
  auto setting = with_policy(OnWorkerFailure::restart, 2, 1);
  setting.policy.poison_limit.reset();
  Rig rig = Rig::running(setting);
  rig.open();
  rig.open();
  die_again(rig, 0);
  CHECK(rig.take().back() == "task 0 s1");  // both at once
  die_again(rig, 0);
  rig.take();
  rig.dies(0);
  CHECK(rig.take() == Texts{"fail: m0 on cpu:0 died on segment 100: it was killed by SIGKILL"});
}

}  // namespace
}  // namespace tutti::test
