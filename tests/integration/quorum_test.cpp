// Results that do not wait for a late member.
#include <doctest/doctest.h>
#include <signal.h>

#include <cmath>

#include "config/failure.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// Three members, of which the last needs 20 ms for a batch of 3.
config::EnsembleSpec late_third(std::optional<std::uint32_t> members, std::optional<double> deadline) {
  auto spec = fake_spec(3);
  fake_model(spec, 2).delay_us = 20'000;
  spec.quorum = config::QuorumSpec{members, deadline};
  spec.slots = 6;
  spec.save_members = true;
  return spec;
}

/// For each sample, whether the member is in its result: in order of the segments.
std::vector<bool> holds(const Predictions& predictions, std::size_t member) {
  std::vector<bool> there(predictions.count, true);
  for (const IncompleteSegment& lacks : predictions.incomplete)
    if (std::ranges::count(lacks.absent, member) > 0)
      for (std::uint64_t i = lacks.first; i < lacks.first + lacks.count; ++i) there[i] = false;
  return there;
}

/// Of a member with stages, those of its stages one after the other.
std::vector<float> naive_member(const config::EnsembleSpec& spec, std::size_t rank, std::vector<float> values) {
  auto part = spec;
  part.combine.over = OutputKind::logits;
  for (const config::StageSpec& stage : spec.members[rank].before) {
    part.members[rank].model = stage.model;
    values = naive_answer(part, rank, values);
    part.input.shape = {fake_model(part, rank).classes, 1, 1};
  }
  part.members[rank].model = spec.members[rank].model;
  part.combine = spec.combine;
  return naive_answer(part, rank, values);
}

/// Every sample is the mean of the members that its result is said to hold.
void check_values(const config::EnsembleSpec& spec, const Predictions& got, const std::vector<float>& images) {
  std::vector<std::vector<float>> answers;
  std::vector<std::vector<bool>> there;
  for (std::size_t rank = 0; rank < 3; ++rank) {
    answers.push_back(naive_member(spec, rank, images));
    there.push_back(holds(got, rank));
  }
  for (std::size_t i = 0; i < got.count; ++i)
    for (std::size_t c = 0; c < got.width; ++c) {
      float sum = 0;
      float count = 0;
      for (std::size_t rank = 0; rank < 3; ++rank) {
        CHECK(std::isnan(got.members[rank].values[i * got.width + c]) == !there[rank][i]);
        if (!there[rank][i]) continue;
        sum += answers[rank][i * got.width + c];
        count += 1;
      }
      REQUIRE(count > 0);
      CHECK(got.values[i * got.width + c] == sum / count);
    }
}

TEST_CASE("a quorum does not wait for a late member and says which images lack it") {
  const NothingLeft census;
  const auto spec = late_third(2, {});
  const auto images = random_images(160);
  Ensemble ensemble(published(spec), with_worker());
  const Predictions got = ensemble.predict(view(images));
  check_values(spec, got, images);
  CHECK_FALSE(got.incomplete.empty());
  CHECK(ensemble.status().faults.not_waited_for > 10);
  // The late one is asked for a few segments only.
  CHECK(ensemble.status().members[2].segments_handed_out < 10);
}

TEST_CASE("a deadline that nobody misses changes no byte") {
  const NothingLeft census;
  const auto spec = late_third({}, 1000);
  const auto images = random_images(64);
  Ensemble ensemble(published(spec), with_worker());
  const Predictions got = ensemble.predict(view(images));
  CHECK(got.values == naive_mean(spec, images));
  CHECK(got.incomplete.empty());
}

TEST_CASE("a member that is stopped holds up nobody and answers when it continues") {
  const NothingLeft census;
  auto spec = late_third({}, 0.05);
  fake_model(spec, 2).delay_us = 0;
  spec.failure.progress = config::FailureSpec::Deadline::off;
  const auto images = random_images(80);
  Ensemble ensemble(published(spec), with_worker());
  const int pid = ensemble.status().members[2].pid;
  REQUIRE(::kill(pid, SIGSTOP) == 0);
  for (int call = 0; call < 2; ++call) {
    const Predictions got = ensemble.predict(view(images));
    check_values(spec, got, images);
    CHECK(holds(got, 2) == std::vector<bool>(80, false));
  }
  REQUIRE(::kill(pid, SIGCONT) == 0);
  CHECK(happens([&] { return ensemble.predict(view(images)).incomplete.empty(); }));
}

TEST_CASE("workers that die under a quorum cost no answer that was waited for") {
  const NothingLeft census;
  auto spec = late_third(3, {});
  fake_model(spec, 2).delay_us = 0;
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 7}};
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  const auto images = random_images(160);
  Ensemble ensemble(published(spec), with_worker());
  const Predictions got = ensemble.predict(view(images));
  CHECK(got.values == naive_mean(spec, images));
  CHECK(got.incomplete.empty());
  CHECK(ensemble.status().faults.deaths >= 1);
}

/// The last of three members is a chain of two stages, of which one needs 20 ms for a batch.
config::EnsembleSpec late_chain(bool first_is_slow, std::optional<std::uint32_t> members) {
  auto spec = late_third(members, {});
  FakeModel first{.classes = 12, .faults = {}};
  if (first_is_slow) std::swap(first.delay_us, fake_model(spec, 2).delay_us);
  spec.members[2].before = {{.model = {first, {}}, .device = config::CpuDevice{}}};
  spec.slots = 8;
  return spec;
}

TEST_CASE("a quorum does not wait for a late stage and hands its member few segments") {
  for (const bool first_is_slow : {true, false}) {
    CAPTURE(first_is_slow);
    const NothingLeft census;
    const auto spec = late_chain(first_is_slow, 2);
    const auto images = random_images(160);
    Ensemble ensemble(published(spec), with_worker());
    for (int call = 0; call < 2; ++call) {
      const Predictions got = ensemble.predict(view(images));
      check_values(spec, got, images);
      CHECK_FALSE(got.incomplete.empty());
    }
    const Status status = ensemble.status();
    // A segment that lacks the member lacks one answer, not one of each stage.
    CHECK(status.faults.not_waited_for > 20);
    CHECK(status.faults.not_waited_for <= 40);
    REQUIRE(status.members[2].stages.size() == 2);
    CHECK(status.members[2].stages[first_is_slow ? 0 : 1].segments_handed_out < 20);
    CHECK(status.members[2].stages[1].segments_answered <= status.members[2].stages[0].segments_answered);
  }
}

TEST_CASE("a quorum that counts every member waits for all stages also when they die") {
  const NothingLeft census;
  auto spec = late_chain(true, 3);
  FakeModel& first = std::get<FakeModel>(spec.members[2].before[0].model.kind);
  first.delay_us = 0;
  first.faults = {{FaultKind::kill, FaultPhase::predict, 7}};
  fake_model(spec, 2).faults = {{FaultKind::kill, FaultPhase::predict, 11}};
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  const auto images = random_images(160);
  Ensemble ensemble(published(spec), with_worker());
  const Predictions got = ensemble.predict(view(images));
  check_values(spec, got, images);
  CHECK(got.incomplete.empty());
  CHECK(ensemble.status().faults.deaths >= 2);
}

TEST_CASE("a late stage that dies with a segment that nobody waits for gives its slot back") {
  const NothingLeft census;
  auto spec = late_chain(false, 2);
  fake_model(spec, 2).faults = {{FaultKind::kill, FaultPhase::predict, 2}};
  spec.slots = 3;
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  spec.failure.poison_limit.reset();
  const auto images = random_images(160);
  Ensemble ensemble(published(spec), with_worker());
  CHECK(happens([&] {
    check_values(spec, ensemble.predict(view(images)), images);
    return ensemble.status().faults.deaths >= 2;
  }));
  CHECK(ensemble.status().faults.set_aside == 0);
}

TEST_CASE("with more than 64 slots stages and replicas and members of a quorum answer everything also when they die") {
  for (const std::uint32_t slots : {65U, 200U})
    for (const bool quorum : {true, false}) {
      CAPTURE(slots);
      CAPTURE(quorum);
      const NothingLeft census;
      auto spec = late_chain(false, 3);
      if (!quorum) spec.quorum.reset();
      spec.slots = slots;
      spec.members[2].before[0].workers.replicas = 2;
      fake_model(spec, 2).delay_us = 0;
      fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 300}};
      spec.failure.back_off = 0.001;
      spec.failure.restart_limit.reset();
      const auto images = random_images(std::size_t{8} * 250);
      Ensemble ensemble(published(spec), with_worker());
      const Predictions got = ensemble.predict(view(images));
      check_values(spec, got, images);
      CHECK(got.incomplete.empty());
      CHECK(ensemble.status().faults.deaths >= 1);
    }
}

}  // namespace
}  // namespace tutti::test
