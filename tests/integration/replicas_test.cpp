// Members with several workers: the answers are those of one worker, whichever of them dies, stops or is slow.
#include <doctest/doctest.h>
#include <signal.h>

#include <set>
#include <thread>

#include "config/workers.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// Two members, of which the first has several workers.
config::EnsembleSpec replicated(std::uint32_t replicas) {
  auto spec = fake_spec(2);
  spec.workers = {{.members = {0}, .replicas = replicas}};
  spec.slots = config::slots_for(spec.workers);
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  fake_model(spec, 0).delay_us = 500;
  return spec;
}

std::vector<int> pids_of(const Ensemble& ensemble) {
  std::vector<int> pids;
  const Status status = ensemble.status();
  for (const ReplicaStatus& replica : status.members[0].replicas) pids.push_back(replica.pid);
  return pids;
}

TEST_CASE("replicas share the segments of their member and answer as one worker would") {
  const NothingLeft census;
  const auto spec = replicated(3);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(243);
  for (int call = 0; call < 3; ++call) CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  const Status status = ensemble.status(StatusDetail::memory);
  const MemberStatus& member = status.members[0];
  CHECK(member.segments_answered == 3 * 31);
  CHECK(member.state == WorkerState::running);
  CHECK(member.same_bits);
  REQUIRE(member.replicas.size() == 3);
  std::uint64_t segments = 0;
  std::set<int> pids;
  for (const ReplicaStatus& replica : member.replicas) {
    CHECK(replica.segments_answered > 0);
    CHECK(replica.busy_seconds > 0);
    CHECK(replica.state == WorkerState::running);
    segments += replica.segments_answered;
    pids.insert(replica.pid);
  }
  CHECK(segments == member.segments_answered);
  CHECK(pids.size() == 3);
  CHECK(member.pss_bytes.value() > 0);
  CHECK(status.members[1].replicas.empty());
}

TEST_CASE("replicas that die again and again lose nothing and change no bit") {
  for (const FaultKind kind : {FaultKind::kill, FaultKind::segfault, FaultKind::exception}) {
    CAPTURE(to_name(kind));
    const NothingLeft census;
    auto spec = replicated(2);
    fake_model(spec, 0).faults = {{kind, FaultPhase::predict, 7}};
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(160);
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    const Status status = ensemble.status();
    CHECK(status.faults.deaths >= 2);
    CHECK(status.faults.set_aside == 0);
    CHECK(status.members[0].segments_answered == 20);
    CHECK(status.members[1].deaths == 0);
  }
}

TEST_CASE("a run does not wait for a replica that is stopped and its slots are free when it continues") {
  const NothingLeft census;
  auto spec = replicated(2);
  spec.failure.progress = config::FailureSpec::Deadline::off;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(160);
  const auto expected = naive_mean(spec, images);
  CHECK(ensemble.predict(view(images)).values == expected);  // the paces are known from now on
  const std::vector<int> pids = pids_of(ensemble);
  REQUIRE(::kill(pids[0], SIGSTOP) == 0);
  for (int call = 0; call < 3; ++call) CHECK(ensemble.predict(view(images)).values == expected);
  CHECK(ensemble.status().faults.taken_over >= 1);
  CHECK(ensemble.status().faults.deaths == 0);
  REQUIRE(::kill(pids[0], SIGCONT) == 0);
  const auto answered = ensemble.status().members[0].replicas[0].segments_answered;
  CHECK(happens([&] {
    CHECK(ensemble.predict(view(images)).values == expected);
    return ensemble.status().members[0].replicas[0].segments_answered > answered;
  }));
}

TEST_CASE("an ensemble ends though a replica that was overtaken is stopped") {
  const NothingLeft census;
  auto spec = replicated(2);
  spec.failure.progress = config::FailureSpec::Deadline::off;
  spec.stop_deadline = 0.2;
  const auto images = random_images(160);
  {
    Ensemble ensemble(published(spec), with_worker());
    ensemble.predict(view(images));
    REQUIRE(::kill(pids_of(ensemble)[1], SIGSTOP) == 0);
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  }
}

TEST_CASE("a replica that hangs is replaced and nobody waits for that") {
  const NothingLeft census;
  const Lines lines;
  auto spec = replicated(2);
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 0.5;
  fake_model(spec, 0).faults = {{FaultKind::hang, FaultPhase::predict, 40}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(320);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(happens([&] { return ensemble.status().faults.hangs >= 1; }));
  CHECK(happens([&] { return !lines.with("m0 (replica ").empty(); }));
}

TEST_CASE("a member lives as long as one of its replicas") {
  const NothingLeft census;
  const Lines lines;
  auto spec = replicated(2);
  spec.failure.restart_limit = 0;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(80);
  const auto expected = naive_mean(spec, images);
  CHECK(ensemble.predict(view(images)).values == expected);
  REQUIRE(::kill(pids_of(ensemble)[0], SIGKILL) == 0);
  REQUIRE(happens([&] { return ensemble.status().members[0].replicas[0].state == WorkerState::absent; }));
  CHECK(ensemble.predict(view(images)).values == expected);
  CHECK(ensemble.status().members[0].state == WorkerState::running);
  CHECK(lines.with("and the ensemble continues with its other replicas").size() == 1);
  REQUIRE(::kill(pids_of(ensemble)[1], SIGKILL) == 0);
  const auto error = error_of([&] {
    for (;;) ensemble.predict(view(images));
  });
  REQUIRE(error);
  CHECK(std::string(error->what()).find("its restart budget is spent") != std::string::npos);
}

TEST_CASE("members that share a worker may have it several times") {
  for (const UnitMode mode : {UnitMode::loop, UnitMode::threads}) {
    CAPTURE(to_name(mode));
    const NothingLeft census;
    auto spec = fake_spec(3);
    spec.workers = {{.members = {0, 2}, .mode = mode, .replicas = 2}};
    spec.slots = config::slots_for(spec.workers);
    spec.failure.back_off = 0.001;
    spec.failure.restart_limit.reset();
    fake_model(spec, 2).faults = {{FaultKind::kill, FaultPhase::predict, 9}};
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(160);
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    CHECK(ensemble.status().faults.deaths >= 2);
    CHECK(ensemble.status().members[0].replicas.size() == 2);
  }
}

TEST_CASE("replicas measure one batch for all of them") {
  auto spec = replicated(2);
  spec.measure_batch_images = true;
  spec.segment_images = 32;
  const NothingLeft census;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(200);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.status().members[0].batch_images_measured);
  CHECK(ensemble.status().members[0].segments_answered == 7);
}

TEST_CASE("a member with replicas is trained only by an ensemble that is made for it") {
  Ensemble ensemble(published(replicated(2)), with_worker());
  ListSource source(random_images(8), std::vector<std::int64_t>(8, 0));
  CHECK(message_of([&] { ensemble.train(source, "."); }) ==
        "members that are fused or have several workers cannot be trained");
  Options options = with_worker();
  options.training = true;
  CHECK(Ensemble(published(replicated(2)), options).status().members[0].replicas.empty());
}

}  // namespace
}  // namespace tutti::test
