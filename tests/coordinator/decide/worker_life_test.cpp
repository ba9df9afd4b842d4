// The table of a worker's life, cell by cell; and what a process leaves behind for the next.
#include "coordinator/decide/worker_life.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <vector>

#include "tests/common/death.hpp"

namespace tutti::test {
namespace {

using Phase = WorkerLife::Phase;
using Step = WorkerLife::Step;
using Time = WorkerLife::Time;
using Seconds = WorkerLife::Seconds;

WorkerLife::Setting life_setting() {
  WorkerLife::Setting setting;
  setting.start_deadline = Seconds(120);
  setting.kill_deadline = Seconds(10);
  return setting;
}

Time moment(double seconds) { return Time{} + std::chrono::duration_cast<Time::duration>(Seconds(seconds)); }

WorkerLife life_in(Phase phase) {
  WorkerLife life(life_setting());
  if (phase == Phase::waiting) return life;
  if (phase == Phase::given_up) {
    life.give_up();
    return life;
  }
  life.spawn(moment(0));
  if (phase == Phase::starting) return life;
  life.ready({}, moment(0));
  if (phase == Phase::preparing) return life;
  life.prepared();
  if (phase == Phase::running) return life;
  life.kill({}, moment(0));
  return life;
}

constexpr std::array kPhases{Phase::waiting, Phase::starting, Phase::preparing,
                             Phase::running, Phase::ending,   Phase::given_up};

/// The phase after an event, for each phase before it; the same one if the event is late or a lie.
template <class Event>
std::vector<Phase> after(Event event) {
  std::vector<Phase> phases;
  for (const Phase phase : kPhases) {
    WorkerLife life = life_in(phase);
    CHECK(life.phase() == phase);
    event(life);
    phases.push_back(life.phase());
  }
  return phases;
}

TEST_CASE("events from a worker or the system are accepted in every phase of a life") {
  using enum WorkerLife::Phase;
  std::vector<Step> steps;
  CHECK(after([&](WorkerLife& life) { steps.push_back(life.ready({}, moment(1))); }) ==
        std::vector{waiting, preparing, preparing, running, ending, given_up});
  CHECK(steps == std::vector{Step::late, Step::taken, Step::lie, Step::lie, Step::late, Step::late});
  steps.clear();
  CHECK(after([&](WorkerLife& life) { steps.push_back(life.kill({}, moment(1))); }) ==
        std::vector{waiting, ending, ending, ending, ending, given_up});
  CHECK(steps == std::vector{Step::late, Step::taken, Step::taken, Step::taken, Step::late, Step::late});
  steps.clear();
  CHECK(after([&](WorkerLife& life) { steps.push_back(life.gone()); }) ==
        std::vector{waiting, waiting, waiting, waiting, waiting, given_up});
  CHECK(steps == std::vector{Step::late, Step::taken, Step::taken, Step::taken, Step::taken, Step::late});
}

TEST_CASE("a decision that does not fit the phase of a worker is a failed check") {
  const auto allowed_in = [](const std::function<void(WorkerLife&)>& event) {
    std::vector<Phase> allowed;
    for (const Phase phase : kPhases)
      if (end_of([&] {
            WorkerLife life = life_in(phase);
            event(life);
          }).signal == 0)
        allowed.push_back(phase);
    return allowed;
  };
  CHECK(allowed_in([](WorkerLife& life) { life.spawn(moment(1)); }) == std::vector{Phase::waiting});
  CHECK(allowed_in([](WorkerLife& life) { life.prepared(); }) == std::vector{Phase::preparing});
  CHECK(allowed_in([](WorkerLife& life) { life.give_up(); }) == std::vector{Phase::waiting});
  CHECK(allowed_in([](WorkerLife& life) { life.retire(); }) == std::vector{Phase::running});
  CHECK(allowed_in([](WorkerLife& life) { life.dismiss(); }) == std::vector{Phase::running});
  CHECK(allowed_in([](WorkerLife& life) { life.wait_for_replacement(Seconds(0), moment(1)); }) ==
        std::vector{Phase::waiting});
  WorkerLife life = life_in(Phase::running);
  const std::string line = failed_check([&] { life.spawn(moment(1)); });
  CHECK(line.ends_with("a worker is spawned only while it waits"));
}

TEST_CASE("a process that is dismissed is the last one and no death") {
  WorkerLife life = life_in(Phase::running);
  life.dismiss();
  CHECK(life.phase() == Phase::given_up);
  CHECK(life.deaths() == 0);
  CHECK(!life.ran());
  CHECK(!life.has_process());
  life.check_invariants();
}

TEST_CASE("a process that is gone leaves its generation and its deaths and nothing else") {
  WorkerLife life = life_in(Phase::running);
  CHECK(life.ran());
  life.distrust();
  life.kill({}, moment(1));
  CHECK(life.fault().has_value());
  life.count_death();
  life.gone();
  CHECK(!life.ran());
  CHECK(!life.distrusted());
  CHECK(!life.fault().has_value());
  CHECK(life.deaths() == 1);
  CHECK(life.generation() == Generation(0));
  life.spawn(moment(2));
  CHECK(life.generation() == Generation(1));
}

TEST_CASE("a process that retires leaves its generation and no death and its like starts afresh") {
  WorkerLife life = life_in(Phase::running);
  life.clock.expect(Seconds(50));
  for (int n = 0; n < 2; ++n) life.miss();
  life.retire();
  life.renew();
  CHECK(life.phase() == Phase::waiting);
  CHECK(!life.ran());
  CHECK(life.retired() == 1);
  CHECK(life.deaths() == 0);
  CHECK(life.clock.slowest() == Seconds(0));
  CHECK(life.miss() == 1);
  life.spawn(moment(2));
  CHECK(life.generation() == Generation(1));
  life.check_invariants();
}

TEST_CASE("a life whose facts do not agree is a failed check") {
  const auto broken = [](Phase phase, const std::function<void(WorkerLife&)>& event) {
    WorkerLife life = life_in(phase);
    life.check_invariants();
    event(life);
    return failed_check([&] { life.check_invariants(); });
  };
  CHECK(broken(Phase::running, [](WorkerLife& life) { life.distrust(); }).ends_with("broke the protocol is killed"));
  CHECK(broken(Phase::running, [](WorkerLife& life) {
          life.count_death();
        }).ends_with("and each dies once, is retired or is dismissed"));
  CHECK(broken(Phase::running, [](WorkerLife& life) {
          life.count_death();
          life.gone();
        }) == "deadline_.has_value() == has_deadline() (false == true)");
  WorkerLife life = life_in(Phase::running);
  life.count_death();
  CHECK(failed_check([&] { life.count_death(); }).ends_with("a process dies only once"));
}

TEST_CASE("a budget whose deaths are out of order is a failed check") {
  RestartBudget budget(3, Seconds(60), Seconds(0));
  budget.spend(moment(2));
  CHECK(failed_check([&] { budget.spend(moment(1)); }).ends_with("deaths are in the order of their times"));
}

TEST_CASE("a clock that goes back is a failed check") {
  ProgressClock clock;
  clock.begin(moment(2));
  CHECK(failed_check([&] { clock.look(1, true, moment(1)); }).ends_with("the time of a batch is not negative"));
  clock.watch({}, moment(3));
  CHECK(failed_check([&] { clock.watch({}, moment(2)); }).ends_with("the time between two looks is not negative"));
}

TEST_CASE("every phase that can last too long has a deadline") {
  const auto due = [](Phase phase) { return life_in(phase).due(WorkerLife::Duty::nothing); };
  CHECK(due(Phase::waiting) == std::nullopt);
  CHECK(due(Phase::starting) == moment(120));
  CHECK(due(Phase::preparing) == moment(120));
  CHECK(due(Phase::running) == std::nullopt);
  CHECK(due(Phase::ending) == moment(10));
  CHECK(due(Phase::given_up) == std::nullopt);
  CHECK(life_in(Phase::running).due(WorkerLife::Duty::tasks).has_value());
  CHECK(life_in(Phase::running).due(WorkerLife::Duty::command) == moment(120));
  WorkerLife life = life_in(Phase::waiting);
  life.wait_for_replacement(Seconds(0.5), moment(3));
  CHECK(life.due(WorkerLife::Duty::nothing) == moment(3.5));
}

}  // namespace
}  // namespace tutti::test
