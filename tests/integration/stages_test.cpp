// Members with stages over real workers: the answers are those of the models one after the other,
// whichever worker dies.
#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <set>
#include <thread>

#include "tests/integration/cascaded.hpp"
#include "tests/integration/members.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kBetween = 12;

config::StageSpec stage_of(std::uint32_t classes) {
  return {.model = {FakeModel{.classes = classes, .faults = {}}, {}}, .device = config::CpuDevice{}};
}

/// Two members, of which the first has a stage of 12 outputs before its last one.
config::EnsembleSpec spec_with_stages() {
  auto spec = fake_spec(2);
  spec.members[0].before = {stage_of(kBetween)};
  spec.slots = 4;
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  return spec;
}

FakeModel& first_fake(config::EnsembleSpec& spec) { return std::get<FakeModel>(spec.members[0].before[0].model.kind); }

/// The mean of the members; the stages of the first one after the other, as a plain loop computes them.
std::vector<float> naive_stages(const config::EnsembleSpec& spec, const std::vector<float>& images) {
  auto first = spec;
  first.members[0].model = spec.members[0].before[0].model;
  first.combine.over = OutputKind::logits;
  auto last = spec;
  last.input.shape = {kBetween, 1, 1};
  const std::vector<float> of_chain = naive_answer(last, 0, naive_answer(first, 0, images));
  const std::vector<float> of_other = naive_answer(spec, 1, images);
  std::vector<float> mean;
  for (std::size_t i = 0; i < of_chain.size(); ++i) mean.push_back((of_chain[i] + of_other[i]) / 2);
  return mean;
}

TEST_CASE("stages compute on what the stage before them outputs and the status names each") {
  const NothingLeft census;
  const auto spec = spec_with_stages();
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(243);
  for (int call = 0; call < 3; ++call) CHECK(ensemble.predict(view(images)).values == naive_stages(spec, images));
  const Status status = ensemble.status(StatusDetail::memory);
  REQUIRE(status.members.size() == 2);
  const MemberStatus& member = status.members[0];
  CHECK(member.name == "m0");
  CHECK(member.state == WorkerState::running);
  CHECK(member.segments_answered == 3 * 31);
  REQUIRE(member.stages.size() == 2);
  CHECK(member.stages[0].name == "m0/0");
  CHECK(member.stages[1].name == "m0/1");
  CHECK(member.stages[0].output == Dims{kBetween});
  CHECK(member.output == Dims{4});
  CHECK(member.stages[0].pid != member.stages[1].pid);
  CHECK(member.pss_bytes == *member.stages[0].pss_bytes + *member.stages[1].pss_bytes);
  CHECK(member.busy_seconds == member.stages[0].busy_seconds + member.stages[1].busy_seconds);
  CHECK(status.members[1].stages.empty());
  CHECK(ensemble.health().ready);
}

TEST_CASE("three stages are three workers of one member") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  spec.members[0].before = {stage_of(7), stage_of(5)};
  spec.combine = {.rule = CombineRule::mean, .over = OutputKind::logits};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(61);
  auto part = spec;
  std::vector<float> expected = images;
  for (const std::uint32_t classes : {7U, 5U, 4U}) {
    part.members[0].model.kind = FakeModel{.classes = classes, .faults = {}};
    expected = naive_answer(part, 0, expected);
    part.input.shape = {classes, 1, 1};
  }
  CHECK(ensemble.predict(view(images)).values == expected);
  CHECK(ensemble.status().members[0].stages.size() == 3);
}

TEST_CASE("members come to members with stages and those with stages go with all of their workers") {
  const NothingLeft census;
  auto spec = spec_with_stages();
  spec.checkpoint_segments = 1;
  spec.members[0].last.replicas = 2;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(61);
  const auto answers_as_a_fresh_one = [&](const Names& names) {
    Ensemble fresh(ensemble.spec(), with_worker());
    CHECK(ensemble.predict(view(images)).values == fresh.predict(view(images)).values);
    const Status status = ensemble.status();
    CHECK(names_of(status) == names);
    CHECK(names_of(fresh.status()) == names);
    for (const MemberStatus& member : status.members) CHECK(member.stages.size() == (member.name == "m0" ? 2 : 0));
    CHECK(ensemble.health().ready);
  };
  ensemble.add_member(further("x"));
  answers_as_a_fresh_one({"m0", "m1", "x"});
  const Status status = ensemble.status();
  CHECK(status.members[2].pid != 0);
  ::kill(status.members[2].pid, SIGKILL);
  ::kill(status.members[0].stages[0].pid, SIGKILL);
  answers_as_a_fresh_one({"m0", "m1", "x"});
  ensemble.remove_member("m1");
  answers_as_a_fresh_one({"m0", "x"});
  const MemberStatus leaving = ensemble.status().members[0];
  std::vector<int> pids{leaving.stages[0].pid};
  for (const ReplicaStatus& replica : leaving.stages[1].replicas) pids.push_back(replica.pid);
  CHECK(pids.size() == 3);
  ensemble.remove_member("m0");
  answers_as_a_fresh_one({"x"});
  for (const int pid : pids) CHECK(happens([&] { return !is_there(pid); }));
  ensemble.add_member(further("y", 5));
  ensemble.add_member(further("z", 6));
  answers_as_a_fresh_one({"x", "y", "z"});
}

TEST_CASE("stages that die again and again lose nothing and change no bit") {
  for (const FaultKind kind : {FaultKind::kill, FaultKind::segfault, FaultKind::exception}) {
    for (const bool first : {true, false}) {
      CAPTURE(to_name(kind));
      CAPTURE(first);
      const NothingLeft census;
      auto spec = spec_with_stages();
      (first ? first_fake(spec) : fake_model(spec, 0)).faults = {{kind, FaultPhase::predict, 7}};
      Ensemble ensemble(published(spec), with_worker());
      const auto images = random_images(160);
      CHECK(ensemble.predict(view(images)).values == naive_stages(spec, images));
      const Status status = ensemble.status();
      CHECK(status.faults.deaths >= 2);
      CHECK(status.faults.set_aside == 0);
      CHECK(status.members[0].stages[first ? 0 : 1].deaths >= 2);
      CHECK(status.members[0].stages[first ? 1 : 0].deaths == 0);
    }
  }
}

TEST_CASE("both stages may die at any moment and their answers are still those of a plain loop") {
  const NothingLeft census;
  auto spec = spec_with_stages();
  first_fake(spec).faults = {{FaultKind::kill, FaultPhase::predict, 5}};
  fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::predict, 7}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(400);
  const auto expected = naive_stages(spec, images);
  for (int call = 0; call < 2; ++call) CHECK(ensemble.predict(view(images)).values == expected);
  CHECK(ensemble.status().members[0].deaths >= 10);
}

TEST_CASE("each stage may have replicas and any of them may have written what the next one reads") {
  const NothingLeft census;
  auto spec = spec_with_stages();
  spec.slots = 8;
  spec.members[0].before[0].workers.replicas = 2;
  spec.members[0].last.replicas = 2;
  first_fake(spec).delay_us = 500;
  fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::predict, 20}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(320);
  for (int call = 0; call < 2; ++call) CHECK(ensemble.predict(view(images)).values == naive_stages(spec, images));
  const Status status = ensemble.status();
  REQUIRE(status.members[0].stages[0].replicas.size() == 2);
  for (const ReplicaStatus& replica : status.members[0].stages[0].replicas) CHECK(replica.segments_answered > 0);
  CHECK(status.members[0].stages[1].replicas.size() == 2);
  CHECK(status.faults.deaths >= 1);
}

TEST_CASE("a slow last stage holds the first one back and the arena stays as it is") {
  const NothingLeft census;
  auto spec = spec_with_stages();
  fake_model(spec, 0).delay_us = 2000;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(160);
  CHECK(ensemble.predict(view(images)).values == naive_stages(spec, images));
}

TEST_CASE("stages may be asked in a later round of a cascade") {
  const NothingLeft census;
  auto spec = spec_with_stages();
  std::swap(spec.members[0], spec.members[1]);
  const Cascaded found = check_cascade(spec);
  CHECK(found.status.members[1].stages[0].images == found.later);
}

TEST_CASE("NaN of a stage ends the call that it is in and names the stage") {
  const NothingLeft census;
  auto spec = spec_with_stages();
  first_fake(spec).faults = {{FaultKind::nan, FaultPhase::predict, 4}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(80);
  CHECK(contains(message_of([&] { ensemble.predict(view(images)); }), "m0/0 on cpu predicted NaN or infinity"));
  CHECK(ensemble.predict(view(images)).values == naive_stages(spec, images));
}

TEST_CASE("an ensemble continues without a member one of whose stages keeps dying") {
  const NothingLeft census;
  const Lines lines;
  auto spec = spec_with_stages();
  spec.failure.on_worker_failure = OnWorkerFailure::degrade;
  spec.failure.restart_limit = 1;
  spec.failure.poison_limit.reset();
  first_fake(spec).faults = {{FaultKind::kill, FaultPhase::predict, 0}};
  std::vector<Event> events;
  Mutex mutex;
  Options options = with_worker();
  options.on_event = [&](const Event& event) {
    const MutexLock lock(mutex);
    events.push_back(event);
  };
  {
    Ensemble ensemble(published(spec), options);
    const auto images = random_images(80);
    CHECK(ensemble.predict(view(images)).values == naive_answer(spec, 1, images));
    const Status status = ensemble.status();
    CHECK(status.members[0].state == WorkerState::absent);
    CHECK(contains(status.members[0].absent_reason, "m0/0 on cpu"));
    CHECK(happens([] { return children_of(::getpid()).size() == 1; }));  // the other stage returns its memory
    CHECK(ensemble.health().problems.size() == 1);
    CHECK(happens([&] {
      const MutexLock lock(mutex);
      return std::ranges::any_of(
          events, [](const Event& event) { return event.kind == Event::Kind::degraded && event.member == "m0"; });
    }));
  }
  CHECK(lines.with("and the ensemble continues without it").size() == 1);
  CHECK(std::ranges::any_of(
      events, [](const Event& event) { return event.kind == Event::Kind::died && event.member == "m0/0"; }));
}

TEST_CASE("a stage that cannot take what the one before it outputs is named with both before anything runs") {
  auto spec = spec_with_stages();
  fake_model(spec, 0).faults = {{FaultKind::exception, FaultPhase::warm_up, 0}};
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(contains(error->what(), "m0/1 on cpu"));
  CHECK(contains(error->what(), "it takes what m0/0 outputs, 12 of float32"));
}

TEST_CASE("members with stages are not trained") {
  Options options = with_worker();
  options.training = true;
  CHECK(message_of([&] { const Ensemble ensemble(published(spec_with_stages()), options); }) ==
        "m0 has 'stages', and is not trained");
}

TEST_CASE("a new version of a member with stages takes over with all of them while calls go on") {
  const NothingLeft census;
  auto spec = spec_with_stages();
  spec.members[0].before[0].workers.replicas = 2;
  spec.slots = 8;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(160);
  std::vector<std::vector<float>> versions{naive_stages(spec, images)};
  CHECK(ensemble.predict(view(images)).values == versions.front());
  const MemberStatus before = ensemble.status().members[0];
  std::atomic<bool> stopped = false;
  std::thread calling([&] {
    const auto one_segment = random_images(5);
    const auto old = naive_stages(spec, one_segment);
    auto next = spec;
    next.members[0].seed = 5;
    const auto fresh = naive_stages(next, one_segment);
    while (!stopped) {
      const auto values = ensemble.predict(view(one_segment)).values;
      CHECK((values == old || values == fresh));  // never one stage of each
    }
  });
  auto next = spec;
  next.members[0].seed = 5;
  ensemble.replace_member("m0", published(next));
  stopped = true;
  calling.join();
  CHECK(ensemble.predict(view(images)).values == naive_stages(next, images));
  const Status status = ensemble.status();
  CHECK(status.members[0].stages[0].pid != before.stages[0].pid);
  CHECK(status.members[0].stages[1].pid != before.stages[1].pid);
  CHECK(status.members[0].stages[1].deaths == 0);
  CHECK(happens([&] { return !is_there(before.stages[1].pid); }));
  // What is replaced later is the new version.
  ::kill(status.members[0].stages[1].pid, SIGKILL);
  CHECK(ensemble.predict(view(images)).values == naive_stages(next, images));
  next.members[1].seed = 5;
  ensemble.replace_member("m1", published(next));
  CHECK(ensemble.predict(view(images)).values == naive_stages(next, images));
}

TEST_CASE("a new version of a member with stages that does not fit leaves the old one") {
  const NothingLeft census;
  const auto spec = spec_with_stages();
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(80);
  const auto refused = [&](auto change) {
    auto next = spec;
    change(next);
    const auto error = error_of([&] { ensemble.replace_member("m0", published(next)); });
    REQUIRE(error.has_value());
    CHECK(ensemble.predict(view(images)).values == naive_stages(spec, images));
    return *error;
  };
  CHECK(refused([](auto& next) { next.members[0].before.push_back(stage_of(kBetween)); }).message() ==
        "the new version of m0 has other stages");
  CHECK(refused([](auto& next) { next.members[0].before[0].workers.replicas = 2; }).detail() ==
        "one of them has another device, other replicas or other rows");
  CHECK(contains(refused([](auto& next) {
                   std::get<FakeModel>(next.members[0].before[0].model.kind).classes = kBetween + 1;
                 }).message(),
                 "the new version of m0 cannot take over: it outputs 13 values per image"));
  CHECK(contains(refused([](auto& next) {
                   std::get<FakeModel>(next.members[0].before[0].model.kind).faults = {
                       {FaultKind::exception, FaultPhase::load, 0}};
                 }).message(),
                 "the new version of m0 cannot take over"));
}

}  // namespace
}  // namespace tutti::test
