// A stage whose rows another one cannot use, step by step: who is killed, what is computed again, and what it counts
// as.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/coordinator/decide/supervisor_rig.hpp"

namespace tutti::test {
namespace {

constexpr auto kNonsense = CompletionStatus::bad_feed;

/// m0 has the stages of ranks 1 and 0, in the workers 1 and 0, of which the last reads rows.
SupervisorSetting reading_setting() {
  auto setting = rig_setting(2);
  ByRank<std::optional<Rank>> fed_by(2);
  fed_by[0] = Rank(1);
  ByRank<bool> reads_rows(2);
  reads_rows[0] = true;
  setting.chains = Chains(std::move(fed_by), std::move(reads_rows));
  setting.policy.back_off = 0;
  return setting;
}

Rig reading(SupervisorSetting setting = reading_setting()) {
  Rig rig(std::move(setting));
  rig.supervisor.start(rig.now);
  rig.ready(1);
  rig.ready(0);
  rig.take();
  REQUIRE(rig.supervisor.all_running());
  return rig;
}

std::string all_of(const Texts& texts) {
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  return all;
}

/// The reader finds nonsense in what its writer has answered; the writer is killed and replaced.
Texts nonsense_and_replacement(Rig& rig) {
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s0"});
  CHECK(rig.answer(0, kNonsense) == Acceptance::refused);
  CHECK(rig.take() == Texts{"kill 1"});
  rig.dies(1);
  const Texts texts = rig.take();
  rig.pass(5);
  rig.tick();
  rig.take();
  rig.ready(1);
  return texts;
}

TEST_CASE("nonsense costs its writer which is asked again before its reader is") {
  Rig rig = reading();
  rig.open();
  CHECK(rig.take() == Texts{"task 1 s0"});
  CHECK(
      nonsense_and_replacement(rig) ==
      Texts{
          "m1 on cpu:1 broke the protocol: the index of its rows of segment 100 is nonsense: it counts more rows of a "
          "sample than there can be; it was killed; replacement started, 1 segment handed out again",
          "spawn 1 g1"});
  CHECK(rig.take() == Texts{"begin 1", "task 1 s0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.closed(0).rows[0].present);
  CHECK(rig.closed(0).rows[1].times == 2);
  CHECK(rig.closed(0).rows[0].times == 2);
  CHECK(rig.supervisor.counts().violations == 1);
  CHECK(rig.supervisor.counts().deaths == 1);
  CHECK(rig.supervisor.generation(0) == Generation(0));  // the reader lives on
}

TEST_CASE("several segments of one writer cost it one life and each is computed again") {
  Rig rig = reading();
  rig.open();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s0", "task 0 s1"});
  rig.answer(0, kNonsense);
  CHECK(rig.take() == Texts{"kill 1"});
  CHECK(rig.answer(0, kNonsense) == Acceptance::refused);
  CHECK(rig.take().empty());
  rig.dies(1);
  CHECK(rig.take().back() == "spawn 1 g1");
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s0"});  // the first one is suspect
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s1"});
  rig.answer(1);
  rig.answer(0);
  CHECK(rig.take() == Texts{"task 0 s1", "finish 0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 1"});
  CHECK(rig.supervisor.counts().deaths == 1);
}

TEST_CASE("nonsense of a writer that has died since costs nobody and is computed again") {
  Rig rig = reading();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.take();
  rig.dies(1);
  CHECK(rig.take().back() == "spawn 1 g1");
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1"});
  CHECK(rig.answer(0, kNonsense) == Acceptance::refused);
  CHECK(rig.take() == Texts{"task 1 s0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s0"});
  rig.answer(0);
  CHECK(rig.take() == Texts{"finish 0"});
  CHECK(rig.supervisor.counts().violations == 0);
}

TEST_CASE("a segment whose rows are nonsense again and again is set aside") {
  auto setting = reading_setting();
  setting.policy.poison_limit = 2;
  setting.policy.restart_limit = 1;
  Rig rig = reading(setting);
  rig.open();
  rig.take();
  nonsense_and_replacement(rig);  // uses the budget
  for (int n = 0; n < 2; ++n) {
    CHECK(rig.take().back() == "task 1 s0");
    const std::string said = all_of(nonsense_and_replacement(rig));
    CAPTURE(said);
    CHECK(contains(said, "the index of its rows of segment 100 is nonsense"));
    CHECK(contains(said, "has killed 2 workers that computed nothing else and is set aside") == (n == 1));
  }
  CHECK(rig.supervisor.counts().set_aside == 1);
  CHECK(rig.closed(0).set_aside);
  CHECK(rig.closed(0).rows[1].abandoned);
  rig.open();
  CHECK(rig.take().back() == "task 1 s1");
}

TEST_CASE("a writer of nonsense uses up its restarts") {
  auto setting = reading_setting();
  setting.policy.poison_limit.reset();
  setting.policy.restart_limit = 1;
  Rig rig = reading(setting);
  rig.open();
  rig.take();
  nonsense_and_replacement(rig);
  CHECK(rig.take().back() == "task 1 s0");
  rig.answer(1);
  rig.take();
  rig.answer(0, kNonsense);
  rig.take();
  rig.dies(1);
  const std::string said = all_of(rig.take());
  CAPTURE(said);
  CHECK(contains(said, "fail: m1 on cpu:1 broke the protocol: the index of its rows of segment 100 is nonsense"));
}

TEST_CASE("what a writer was computing when it was killed for other rows is not suspect") {
  Rig rig = reading();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.open();
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s1"});
  rig.answer(0, kNonsense);
  rig.take();
  rig.dies(1);
  rig.take();
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s0"});
  rig.answer(1);
  CHECK(rig.take() == Texts{"task 0 s0", "task 1 s1"});
  rig.open();
  CHECK(rig.take() == Texts{"task 1 s2"});  // it need not wait for the answer to s1
}

TEST_CASE("a call that nobody waits for is not computed again for its rows") {
  Rig rig = reading();
  rig.open();
  rig.take();
  rig.answer(1);
  rig.take();
  rig.supervisor.drop(0);
  rig.answer(0, kNonsense);
  CHECK(rig.take() == Texts{"kill 1", "finish 0"});
}

/// Segment 2 is at both replicas of the reader, the workers 0 and 2; the second one has refused it, and its writer is
/// being killed.
Rig refused_by_one(SupervisorSetting setting = reading_setting()) {
  ByWorker<std::vector<Rank>> units;
  for (const std::uint32_t rank : {0, 1, 0}) units.push_back({Rank(rank)});
  set_hosting(setting, Hosting(std::move(units)));
  Rig rig(std::move(setting));
  rig.supervisor.start(rig.now);
  for (const std::size_t worker : {1, 0, 2}) rig.ready(worker);
  rig.take();
  for (const std::size_t worker : {0, 2}) {  // so that their pace is known
    rig.open();
    rig.take();
    rig.answer_as(1);
    rig.take();
    rig.pass(1);
    rig.answer_as(worker);
    rig.take();
  }
  rig.open();
  rig.take();
  rig.answer_as(1);
  CHECK(rig.take() == Texts{"task 0 to 0 s2"});
  rig.pass(3);
  rig.tick();
  CHECK(rig.take() == Texts{"hold 2", "task 0 to 2 s2 too"});
  CHECK(rig.answer_as(2, kNonsense) == Acceptance::refused);
  CHECK(rig.take() == Texts{"kill 1"});  // the other replica is still at it
  return rig;
}

TEST_CASE("what is written again and left out is not computed on once the last replica gives it back") {
  for (const bool by_death : {false, true}) {
    CAPTURE(by_death);
    auto setting = reading_setting();
    setting.policy.on_nan = OnNan::degrade;
    Rig rig = refused_by_one(std::move(setting));
    rig.dies(1);
    rig.take();
    rig.ready(1);
    rig.take();
    rig.answer_as(1, CompletionStatus::not_finite);
    rig.take();
    if (by_death)
      rig.dies(0);
    else
      rig.answer_as(0, kNonsense);
    const Texts texts = rig.take();
    CHECK(std::ranges::count(texts, "finish 2") == 1);
    CHECK(all_of(texts).find("task") == std::string::npos);
    rig.supervisor.check_invariants();
  }
}

TEST_CASE("an idle replica gets what it has refused only when it is written again") {
  Rig rig = refused_by_one();
  rig.pass(3);
  rig.tick();
  CHECK(rig.take().empty());
  rig.dies(1);
  rig.take();
  rig.ready(1);
  CHECK(rig.take() == Texts{"begin 1", "task 1 s2"});
  rig.answer_as(1);
  rig.take();
  rig.pass(3);
  rig.tick();
  CHECK(rig.take() == Texts{"task 0 to 2 s2 too"});
  rig.answer_as(2);
  CHECK(rig.take() == Texts{"finish 2"});
  CHECK(rig.answer_as(0, kNonsense) == Acceptance::repeated);
  CHECK(rig.take() == Texts{"release 2"});
  CHECK(rig.supervisor.counts().violations == 1);
}

TEST_CASE("a task that is refused is its worker's until it is taken back and its row stays open") {
  Ledger ledger(2);
  const SegmentId number = ledger.open(SlotId(0), 10, TaskKind::predict, ByRank<bool>(2, true));
  const TaskRecord task = ledger.hand_out(number, Rank(0), WorkerId(0), Generation(3));
  CHECK(ledger.accept(WorkerId(0), Generation(3), Rig::answer_to(task, kNonsense)) == Verdict::violation);
  ledger.at(number).rows[0].outs.back().fed = Ledger::Author{WorkerId(1), Generation(2)};
  CHECK(ledger.accept(WorkerId(0), Generation(3), Rig::answer_to(task, kNonsense)) == Verdict::refused);
  CHECK(ledger.at(number).rows[0].out_of(WorkerId(0))->fed == Ledger::Author{WorkerId(1), Generation(2)});
  CHECK(ledger.at(number).rows[0].is_open());
  ledger.take_back(number, Rank(0), WorkerId(0));
  CHECK_FALSE(ledger.at(number).rows[0].out());
  CHECK(ledger.at(number).open == 2);
  ledger.check_invariants();
}

TEST_CASE("only a stage that reads rows may say that they are nonsense") {
  Rig rig = reading();
  rig.open();
  rig.take();
  CHECK(rig.answer(1, kNonsense) == Acceptance::violation);
  CHECK(rig.take() == Texts{"kill 1"});
}

}  // namespace
}  // namespace tutti::test
