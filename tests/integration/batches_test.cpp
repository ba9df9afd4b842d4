// `batch_images: auto` with fake members, whose batches take a set time: the larger, the faster per image.
#include <doctest/doctest.h>
#include <signal.h>

#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// Segments of 16 images; candidates are 4, 8 and 16.
config::EnsembleSpec measured_spec(std::size_t count) {
  auto spec = fake_spec(count);
  spec.segment_images = 16;
  spec.measure_batch_images = true;
  for (std::size_t rank = 0; rank < count; ++rank) fake_model(spec, rank).delay_us = 2000;
  return spec;
}

std::vector<std::uint32_t> sizes_of(const MemberStatus& member) {
  std::vector<std::uint32_t> sizes;
  for (const BatchSpeed& speed : member.batch_speeds) sizes.push_back(speed.batch_images);
  return sizes;
}

void check_answers(Ensemble& ensemble, const config::EnsembleSpec& spec) {
  const auto images = random_images(50);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("auto measures the batches and computes with the fastest") {
  const NothingLeft check;
  const Lines lines;
  const auto spec = measured_spec(3);
  log::set_level(log::Level::info);
  Ensemble ensemble(published(spec), with_worker());
  log::set_level(log::Level::warning);
  const Status status = ensemble.status();
  for (const MemberStatus& member : status.members) {
    CHECK(member.batch_images == 16);
    CHECK(member.batch_images_measured);
    CHECK(sizes_of(member) == std::vector<std::uint32_t>{4, 8, 16});
    CHECK(member.batch_speeds[2].images_per_second > member.batch_speeds[0].images_per_second);
  }
  CHECK(status.batch_search_seconds > 0);
  CHECK(lines.with("m0..m2: batches of 16 images (measured: 4: ").size() == 1);
  check_answers(ensemble, spec);
}

/// Two equal members of two stages, and one without.
config::EnsembleSpec staged_spec() {
  auto spec = measured_spec(3);
  const FakeModel first{.classes = 6, .delay_us = 2000, .faults = {}};
  for (const std::size_t rank : {0, 1})
    spec.members[rank].before = {{.model = {first, {}}, .device = config::CpuDevice{}}};
  return spec;
}

TEST_CASE("the stages of a member have one batch which is measured for all of them together") {
  const NothingLeft check;
  const Lines lines;
  auto spec = staged_spec();
  log::set_level(log::Level::info);
  Ensemble ensemble(published(spec), with_worker());
  log::set_level(log::Level::warning);
  CHECK(lines.with("m0, m1: batches of 16 images (measured: 4: ").size() == 1);
  CHECK(lines.with("m2: batches of 16 images (measured: 4: ").size() == 1);
  const Status status = ensemble.status();
  REQUIRE(status.members[0].stages.size() == 2);
  for (const MemberStatus& stage : status.members[0].stages) {
    CHECK(stage.batch_images == 16);
    CHECK(stage.batch_images_measured);
  }
  // Two batches of 2 ms, one after the other, instead of one.
  const auto speed = [&](std::size_t rank) { return status.members[rank].batch_speeds.back().images_per_second; };
  CHECK(speed(0) < 0.8 * speed(2));
  const auto images = random_images(50);
  const auto answer = ensemble.predict(view(images)).values;
  ::kill(status.members[0].stages[0].pid, SIGKILL);
  CHECK(happens([&] { return ensemble.status().members[0].stages[0].generation == 1; }));
  CHECK(ensemble.predict(view(images)).values == answer);
  CHECK(ensemble.status().members[0].stages[0].batch_images == 16);
  spec.measure_batch_images = false;
  Ensemble as_given(published(spec), with_worker());
  CHECK(as_given.predict(view(images)).values == answer);
}

TEST_CASE("the batch of an earlier run is that of every stage") {
  Options options = with_worker();
  options.batch_images = {5, 6, 7};
  const Ensemble ensemble(published(staged_spec()), options);
  const Status status = ensemble.status();
  for (const std::size_t rank : {0, 1})
    for (const MemberStatus& stage : status.members[rank].stages) CHECK(stage.batch_images == 5 + rank);
  CHECK(status.members[2].batch_images == 7);
}

TEST_CASE("what was tried is not counted as work") {
  const auto spec = measured_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  CHECK(ensemble.status().input_bytes_copied == 0);
  check_answers(ensemble, spec);
  const Status status = ensemble.status();
  CHECK(status.input_bytes_copied == 50 * kShape.elements() * sizeof(float));
  for (const MemberStatus& member : status.members) {
    CHECK(member.segments_handed_out == 4);
    CHECK(member.segments_answered == 4);
    CHECK(member.images == 50);
  }
}

TEST_CASE("with a number nothing is measured") {
  auto spec = measured_spec(2);
  spec.measure_batch_images = false;
  const Ensemble ensemble(published(spec), with_worker());
  const Status status = ensemble.status();
  CHECK(status.members[0].batch_images == 3);
  CHECK_FALSE(status.members[0].batch_images_measured);
  CHECK(status.members[0].batch_speeds.empty());
  CHECK(status.batch_search_seconds == 0);
}

TEST_CASE("members that will train are not measured") {
  auto spec = measured_spec(1);
  Options options = with_worker();
  options.training = true;
  const Ensemble ensemble(published(spec), options);
  CHECK(ensemble.status().members[0].batch_images == 3);
  CHECK_FALSE(ensemble.status().members[0].batch_images_measured);
}

TEST_CASE("batches of an earlier run are used as they are") {
  const auto spec = measured_spec(2);
  Options options = with_worker();
  options.batch_images = {5, 7};
  Ensemble ensemble(published(spec), options);
  const Status status = ensemble.status();
  CHECK(status.members[0].batch_images == 5);
  CHECK(status.members[1].batch_images == 7);
  CHECK(status.members[1].batch_images_measured);
  CHECK(status.members[1].batch_speeds.empty());
  CHECK(status.batch_search_seconds == 0);
  check_answers(ensemble, spec);
}

TEST_CASE("a replacement and a spare compute with the chosen batch") {
  const NothingLeft check;
  for (const Spares spares : {Spares::none, Spares::member}) {
    auto spec = measured_spec(2);
    spec.failure.spares = spares;
    Ensemble ensemble(published(spec), with_worker());
    ::kill(ensemble.status().members[0].pid, SIGKILL);
    check_answers(ensemble, spec);
    CHECK(happens([&] { return ensemble.status().members[0].generation == 1; }));
    CHECK(ensemble.status().members[0].batch_images == 16);
    CHECK(ensemble.status().faults.deaths == 1);
    check_answers(ensemble, spec);
  }
}

TEST_CASE("workers that die while the batches are measured are replaced like any others") {
  const NothingLeft check;
  auto spec = measured_spec(2);
  spec.failure.restart_limit.reset();
  spec.failure.back_off = 0;
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 9}};
  Ensemble ensemble(published(spec), with_worker());
  const Status status = ensemble.status();
  CHECK(status.faults.deaths > 0);
  CHECK(status.faults.set_aside == 0);
  CHECK(status.members[0].batch_images == status.members[1].batch_images);
  check_answers(ensemble, spec);
}

TEST_CASE("a member that is lost while the batches are measured is absent from the first segment on") {
  auto spec = measured_spec(2);
  spec.failure.on_worker_failure = OnWorkerFailure::degrade;
  spec.failure.restart_limit = 0;
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 5}};
  Ensemble ensemble(published(spec), with_worker());
  const MemberStatus lost = ensemble.status().members[1];
  CHECK(lost.state == WorkerState::absent);
  CHECK(lost.absent_from_segment == 0);
  CHECK(ensemble.status().members[0].batch_images == 16);
}

TEST_CASE("a pool that fails while the batches are measured is refused") {
  const NothingLeft check;
  auto spec = measured_spec(2);
  spec.failure.on_worker_failure = OnWorkerFailure::fail;
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 5}};
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(contains(error->message(), "m1 on cpu"));
}

TEST_CASE("a NaN in outputs for made-up images does not make Tutti refuse a member") {
  auto spec = measured_spec(1);
  fake_model(spec, 0).faults = {{FaultKind::nan, FaultPhase::predict, 2}};
  Ensemble ensemble(published(spec), with_worker());
  check_answers(ensemble, spec);
}

}  // namespace
}  // namespace tutti::test
