// Members that share a worker: the answers are those of members with a worker each, each member's are accepted on their
// own, and a member that kills the worker does not take its neighbours with it.
#include <doctest/doctest.h>
#include <signal.h>

#include <cmath>
#include <set>

#include "config/workers.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::array kModes{UnitMode::loop, UnitMode::threads};

/// Four members, of which the first three share a worker.
config::EnsembleSpec sharing(UnitMode mode) {
  auto spec = fake_spec(4);
  spec.workers = {{{0, 1, 2}, mode}};
  spec.failure.back_off = 0.001;
  return spec;
}

TEST_CASE("members that share a worker answer as those that have their own") {
  const auto images = random_images(83);
  for (const UnitMode mode : kModes) {
    CAPTURE(to_name(mode));
    const NothingLeft census;
    const auto spec = sharing(mode);
    Ensemble ensemble(published(spec), with_worker());
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    const Status status = ensemble.status(StatusDetail::memory);
    std::vector<std::uint32_t> workers;
    std::set<int> pids;
    std::uint64_t processes_bytes = 0;
    for (const MemberStatus& member : status.members) {
      workers.push_back(member.worker);
      CHECK(member.segments_answered == 11);
      CHECK(member.images == images.size() / kShape.elements());
      if (pids.insert(member.pid).second) processes_bytes += member.pss_bytes.value();
    }
    CHECK(workers == std::vector<std::uint32_t>{0, 0, 0, 1});
    CHECK(pids.size() == 2);
    CHECK(status.pss_bytes.value() > processes_bytes);  // and this process
  }
}

TEST_CASE("members of other widths and inputs may share a worker") {
  for (const UnitMode mode : kModes) {
    CAPTURE(to_name(mode));
    auto spec = sharing(mode);
    fake_model(spec, 1).classes = 7;
    spec.members[2].copy_input = true;
    spec.combine.rule = CombineRule::none;
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(20);
    const Predictions predictions = ensemble.predict(view(images));
    REQUIRE(predictions.members.size() == 4);
    for (std::size_t rank = 0; rank < 4; ++rank)
      CHECK(predictions.members[rank].values == naive_answer(spec, rank, images));
  }
}

TEST_CASE("a shared worker that dies again and again loses nothing and changes no bit") {
  const auto images = random_images(80);
  for (const UnitMode mode : kModes)
    for (const FaultKind kind : {FaultKind::kill, FaultKind::segfault, FaultKind::exception}) {
      CAPTURE(to_name(mode));
      CAPTURE(to_name(kind));
      const NothingLeft census;
      auto spec = sharing(mode);
      spec.failure.restart_limit.reset();
      fake_model(spec, 1).faults = {{kind, FaultPhase::predict, 7}};
      Ensemble ensemble(published(spec), with_worker());
      CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
      const Status status = ensemble.status();
      CHECK(status.faults.deaths >= 2);
      CHECK(status.faults.set_aside == 0);
      CHECK(status.members[3].deaths == 0);
      for (const MemberStatus& member : status.members) CHECK(member.segments_answered == 10);
    }
}

TEST_CASE("a segment that a member of a shared worker dies on costs only this member its place and its answer") {
  const auto images = random_images(24);
  for (const UnitMode mode : kModes) {
    CAPTURE(to_name(mode));
    const NothingLeft census;
    const Lines lines;
    auto spec = sharing(mode);
    spec.failure.on_worker_failure = OnWorkerFailure::degrade;
    spec.failure.poison_limit = 2;
    fake_model(spec, 1).faults = {{.kind = FaultKind::kill, .phase = FaultPhase::predict, .at_value = images.front()}};
    Ensemble ensemble(published(spec), with_worker());
    const Predictions predictions = ensemble.predict(view(images));
    const Status status = ensemble.status();
    CHECK(status.members[0].worker == 0);
    CHECK(status.members[1].worker == 2);
    CHECK(status.members[2].worker == 0);
    CHECK(status.faults.set_aside == 1);
    for (const MemberStatus& member : status.members) CHECK(member.state == WorkerState::running);
    // The segments after the first are as without the fault.
    auto expected = naive_mean(spec, images);
    const auto at = static_cast<std::ptrdiff_t>(8 * 4);
    CHECK(std::vector<float>(predictions.values.begin() + at, predictions.values.end()) ==
          std::vector<float>(expected.begin() + at, expected.end()));
    const auto all = lines.all();
    CHECK(std::ranges::any_of(all, [](const std::string& line) {
      return line.find("has killed 2 workers that computed nothing else: m1 on cpu gets a worker of its own") !=
             std::string::npos;
    }));
  }
}

TEST_CASE("a member that always dies leaves alone") {
  const auto images = random_images(40);
  for (const UnitMode mode : kModes) {
    CAPTURE(to_name(mode));
    const NothingLeft census;
    auto spec = sharing(mode);
    spec.failure.on_worker_failure = OnWorkerFailure::degrade;
    spec.failure.restart_limit = 3;
    spec.failure.poison_limit.reset();
    fake_model(spec, 2).faults = {{FaultKind::kill, FaultPhase::predict, 0}};
    Ensemble ensemble(published(spec), with_worker());
    ensemble.predict(view(images));
    const Status status = ensemble.status();
    CHECK(status.members[2].state == WorkerState::absent);
    for (const std::size_t rank : {0U, 1U, 3U}) {
      CHECK(status.members[rank].state == WorkerState::running);
      CHECK(status.members[rank].segments_answered == 5);
    }
  }
}

TEST_CASE("NaN of one member of a shared worker leaves out this member only") {
  for (const UnitMode mode : kModes) {
    CAPTURE(to_name(mode));
    auto spec = sharing(mode);
    spec.failure.on_nan = OnNan::degrade;
    fake_model(spec, 0).faults = {{FaultKind::nan, FaultPhase::predict, 0}};
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(24);
    const Predictions predictions = ensemble.predict(view(images));
    CHECK(ensemble.status().faults.not_finite_dropped == 1);
    CHECK(ensemble.status().faults.deaths == 0);
    for (const float value : predictions.values) CHECK(std::isfinite(value));
  }
}

TEST_CASE("a hang in a shared worker is noticed and named") {
  const Lines lines;
  auto spec = sharing(UnitMode::threads);
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 0.5;
  fake_model(spec, 1).faults = {{FaultKind::hang, FaultPhase::predict, 4}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(24);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.status().faults.hangs >= 1);
  REQUIRE_FALSE(lines.all().empty());
  CHECK(lines.all().front().starts_with("m1 on cpu made no progress"));
}

TEST_CASE("a model of a shared worker that cannot be loaded is named") {
  for (const UnitMode mode : kModes) {
    auto spec = sharing(mode);
    fake_model(spec, 1).faults = {{FaultKind::exception, FaultPhase::load, 0}};
    const auto error = start_error(spec);
    REQUIRE(error);
    CHECK(std::string(error->what()).find("m1: scripted fault: exception") != std::string::npos);
  }
}

TEST_CASE("a model of a shared worker that writes to its input is named") {
  for (const UnitMode mode : kModes) {
    auto spec = sharing(mode);
    fake_model(spec, 2).writes_input = true;
    const auto error = start_error(spec);
    REQUIRE(error);
    CHECK(error->hint().find("at member 'm2'") != std::string::npos);
  }
}

TEST_CASE("a worker hosts more members than its socket holds messages") {
  const NothingLeft census;
  auto spec = fake_spec(config::kMaxUnit);
  spec.workers = {{{}, UnitMode::loop}};
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) spec.workers.front().members.push_back(rank);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(8);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  const TemporaryFolder folder;
  ListSource source(images, std::vector<std::int64_t>(8, 0));
  CHECK(ensemble.train(source, folder.path()).weights.size() == spec.members.size());
  CHECK(ensemble.status().faults.deaths == 0);
}

TEST_CASE("an exception of a member with a thread of its own names the member") {
  const Lines lines;
  auto spec = sharing(UnitMode::threads);
  fake_model(spec, 2).faults = {{FaultKind::exception, FaultPhase::predict, 1}};
  Ensemble ensemble(published(spec), with_worker());
  ensemble.predict(view(random_images(8)));
  REQUIRE_FALSE(lines.all().empty());
  CHECK(lines.all().front().find("m2: scripted fault: exception") != std::string::npos);
}

TEST_CASE("a spare takes over the members of a shared worker") {
  const NothingLeft census;
  auto spec = sharing(UnitMode::loop);
  spec.failure.spares = Spares::member;
  fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::predict, 9}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(48);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.status().faults.deaths >= 1);
}

TEST_CASE("members with several workers are trained only by an ensemble that is made for it") {
  auto spec = sharing(UnitMode::loop);
  spec.workers.front().replicas = 2;
  ListSource source(random_images(8), std::vector<std::int64_t>(8, 0));
  {
    Ensemble ensemble(published(spec), with_worker());
    CHECK(message_of([&] { ensemble.train(source, "."); }) ==
          "members that are fused or have several workers cannot be trained");
  }
  const TemporaryFolder folder;
  Options options = with_worker();
  options.training = true;
  Ensemble ensemble(published(spec), options);
  std::set<int> pids;
  for (const MemberStatus& member : ensemble.status().members) pids.insert(member.pid);
  CHECK(pids.size() == 2);
  CHECK(ensemble.train(source, folder.path()).weights.size() == 4);
}

}  // namespace
}  // namespace tutti::test
