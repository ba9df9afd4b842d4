// Training with faults: workers that die while they train, write checkpoints or save give the same weights, to the last
// byte, as undisturbed ones.
#include <doctest/doctest.h>
#include <signal.h>

#include <fstream>

#include "common/atomic_file.hpp"
#include "common/random.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kImages = 61;  // eight segments, the last with five images

ListSource labelled_images() {
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < kImages; ++i) labels.push_back(static_cast<std::int64_t>(random_at(9, i) % 4));
  return {random_images(kImages), labels};
}

config::EnsembleSpec training_spec(std::uint32_t slots, std::uint32_t checkpoint_segments) {
  auto spec = fake_spec(2);
  spec.slots = slots;
  spec.checkpoint_segments = checkpoint_segments;
  spec.failure.restart_limit.reset();
  spec.failure.poison_limit.reset();
  spec.failure.back_off = 0.001;
  for (auto& member : spec.members) {
    member.train.epochs = 2;
    member.train.batch_images = 5;
    member.train.learning_rate = 0.125;
    member.train.bootstrap = true;
  }
  return spec;
}

struct Trained {
  std::vector<std::string> weights;
  std::vector<EpochResult> epochs;
  Status status;
};

Trained train(const config::EnsembleSpec& spec, int times = 1) {
  const TemporaryFolder folder;
  Ensemble ensemble(published(spec), with_worker());
  Trained trained;
  for (int time = 0; time < times; ++time) {
    ListSource source = labelled_images();
    trained.epochs.clear();
    trained.weights.clear();
    const TrainResult result =
        ensemble.train(source, folder.path(), [&](const EpochResult& epoch) { trained.epochs.push_back(epoch); });
    for (const auto& file : result.weights) trained.weights.push_back(read_text(file, "weights"));
  }
  trained.status = ensemble.status();
  return trained;
}

void check_same(const Trained& disturbed, const Trained& calm) {
  CHECK(disturbed.weights == calm.weights);
  REQUIRE(disturbed.epochs.size() == calm.epochs.size());
  for (std::size_t i = 0; i < calm.epochs.size(); ++i) {
    CHECK(disturbed.epochs[i].member == calm.epochs[i].member);
    CHECK(disturbed.epochs[i].loss == calm.epochs[i].loss);
    CHECK(disturbed.epochs[i].accuracy == calm.epochs[i].accuracy);
    CHECK(disturbed.epochs[i].images == calm.epochs[i].images);
  }
}

TEST_CASE("a member whose workers die again and again while they train saves the same bytes") {
  for (const auto& [slots, every] : {std::pair{4U, 2U}, {4U, 1U}, {4U, 3U}, {1U, 1U}, {2U, 1U}}) {
    const auto k = slots;  // clang 14 cannot capture a binding
    const auto n = every;
    CAPTURE(k);
    CAPTURE(n);
    const NothingLeft census;
    auto spec = training_spec(slots, every);
    const Trained calm = train(spec);
    CHECK(calm.status.faults.deaths == 0);
    // Every worker dies in its ninth batch: there are about 26 of them, and about two in a segment.
    fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::train, 8}};
    const Trained disturbed = train(spec);
    check_same(disturbed, calm);
    CHECK(disturbed.status.faults.deaths >= 2);
    CHECK(disturbed.status.faults.handed_out_again > 0);
    CHECK(disturbed.status.members[1].generation == 0);
  }
}

TEST_CASE("members that share a worker learn the same bytes as those that have their own and also if it dies") {
  auto spec = training_spec(4, 2);
  spec.members.push_back(spec.members[0]);
  spec.members[2].name = "m2";
  const Trained calm = train(spec, 2);
  for (const UnitMode mode : {UnitMode::loop, UnitMode::threads}) {
    CAPTURE(to_name(mode));
    const NothingLeft census;
    auto shared = spec;
    shared.workers = {{{0, 1, 2}, mode}};
    const Trained undisturbed = train(shared, 2);
    check_same(undisturbed, calm);
    CHECK(undisturbed.status.faults.deaths == 0);
    CHECK(undisturbed.status.members[0].pid == undisturbed.status.members[2].pid);
    for (const std::size_t rank : {0U, 2U}) {
      auto dying = shared;
      fake_model(dying, rank).faults = {{FaultKind::kill, FaultPhase::train, 8}};
      const Trained disturbed = train(dying, 2);
      check_same(disturbed, calm);
      CHECK(disturbed.status.faults.deaths >= 2);
      CHECK(disturbed.status.faults.handed_out_again > 0);
    }
  }
}

TEST_CASE("a member that kills a shared worker while it learns continues in a worker of its own") {
  auto spec = training_spec(4, 2);
  const Trained calm = train(spec);
  for (const UnitMode mode : {UnitMode::loop, UnitMode::threads}) {
    CAPTURE(to_name(mode));
    const NothingLeft census;
    auto shared = spec;
    shared.workers = {{{0, 1}, mode}};
    shared.failure.poison_limit = 1;
    // The third process of this member, in its own worker, is past the batch.
    fake_model(shared, 1).faults = {{FaultKind::kill, FaultPhase::train, 11}};
    const TemporaryFolder folder;
    Ensemble ensemble(published(shared), with_worker());
    ListSource source = labelled_images();
    std::vector<std::string> weights;
    for (const auto& file : ensemble.train(source, folder.path()).weights)
      weights.push_back(read_text(file, "weights"));
    CHECK(weights == calm.weights);
    CHECK(ensemble.status().faults.deaths >= 2);
  }
}

TEST_CASE("a second training continues from the first one even if workers die in it") {
  auto spec = training_spec(4, 2);
  const Trained calm = train(spec, 2);
  for (const std::uint64_t batch : {8, 13}) {
    CAPTURE(batch);
    fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::train, batch}};
    check_same(train(spec, 2), calm);
  }
}

TEST_CASE("a worker that is killed between training and prediction predicts with the trained weights") {
  const NothingLeft census;
  const TemporaryFolder folder;
  const auto spec = training_spec(4, 2);
  Ensemble ensemble(published(spec), with_worker());
  ListSource source = labelled_images();
  ensemble.train(source, folder.path());
  const auto images = random_images(20);
  const auto learnt = ensemble.predict(view(images)).values;
  const int pid = ensemble.status().members[1].pid;
  ::kill(pid, SIGKILL);
  CHECK(happens([&] { return ensemble.status().members[1].generation == 1; }));
  CHECK(ensemble.predict(view(images)).values == learnt);
}

TEST_CASE("a segment that kills the workers that train on it ends the training") {
  // It cannot be set aside, because the weights would differ.
  const NothingLeft census;
  const TemporaryFolder folder;
  auto spec = training_spec(4, 2);
  spec.failure.poison_limit = 2;
  fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::train, 0}};
  Ensemble ensemble(published(spec), with_worker());
  ListSource source = labelled_images();
  const auto error = error_of([&] { ensemble.train(source, folder.path()); });
  REQUIRE(error);
  CHECK(contains(error->message(), "m0 on cpu"));
  CHECK(contains(error->message(), "segment 0"));
  CHECK(ensemble.status().faults.deaths == 3);  // once with other tasks, twice by itself
}

TEST_CASE("a member that dies too often while it trains is left out if that is set") {
  const NothingLeft census;
  const TemporaryFolder folder;
  auto spec = training_spec(4, 2);
  const Trained calm = train(spec);
  fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::train, 0}};
  spec.failure.restart_limit = 1;
  spec.failure.on_worker_failure = OnWorkerFailure::degrade;
  Ensemble ensemble(published(spec), with_worker());
  ListSource source = labelled_images();
  const TrainResult result = ensemble.train(source, folder.path());
  REQUIRE(result.weights.size() == 2);
  CHECK(result.weights[0].empty());
  CHECK(read_text(result.weights[1], "weights") == calm.weights[1]);
  CHECK(ensemble.status().members[0].state == WorkerState::absent);
}

}  // namespace
}  // namespace tutti::test
