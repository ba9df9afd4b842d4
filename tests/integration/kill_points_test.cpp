// The kill-point matrix of the worker: SIGKILL at every step of its protocol, from its first instruction to its last,
// while it predicts and while it trains. The bytes are those of an undisturbed run, and nothing is left behind.
// Needs a build with scripted faults.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <fstream>

#include "common/atomic_file.hpp"
#include "common/kill_point.hpp"
#include "common/random.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kImages = 61;

/// Arms one point for the workers that are started during its lifetime.
class Armed {
 public:
  Armed(std::string_view point, int visit) : token_(folder_ / "token") {
    std::ofstream(token_) << "x";
    ::setenv("TUTTI_KILL_POINT", fmt::format("{}:{}:{}", point, visit, token_.string()).c_str(), 1);
  }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
  ~Armed() { ::unsetenv("TUTTI_KILL_POINT"); }
  bool has_struck() const { return !std::filesystem::exists(token_); }

 private:
  TemporaryFolder folder_;
  std::filesystem::path token_;
};

config::EnsembleSpec spec_of_two() {
  auto spec = fake_spec(2);
  spec.slots = 4;
  spec.checkpoint_segments = 2;
  for (auto& member : spec.members) {
    member.train.epochs = 2;
    member.train.batch_images = 5;
    member.train.learning_rate = 0.125;
  }
  return spec;
}

std::vector<std::string> train(Ensemble& ensemble) {
  const TemporaryFolder folder;
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < kImages; ++i) labels.push_back(static_cast<std::int64_t>(random_at(9, i) % 4));
  ListSource source(random_images(kImages), labels);
  std::vector<std::string> weights;
  for (const auto& file : ensemble.train(source, folder.path()).weights) weights.push_back(read_text(file, "weights"));
  return weights;
}

/// Only a spare is told to open its libraries early, and only for a model that has some: tests/torch kills it there.
bool only_of_spares(std::string_view point) { return contains(std::string(point), "preload"); }

bool only_in_training(std::string_view point) {
  return contains(std::string(point), "checkpoint") || contains(std::string(point), "training") ||
         contains(std::string(point), "save") || contains(std::string(point), "restore");
}

/// Only a stage is told where the one before it has its outputs.
bool only_of_stages(std::string_view point) { return contains(std::string(point), "feed"); }

/// Whether the members have a worker each, share one, and how, or have several; who is asked later; and how many
/// outputs the stage has that comes before the first member, if it has one.
void check_predictions(const std::vector<config::UnitSpec>& workers,
                       const std::vector<config::CascadeStep>& cascade = {}, std::uint32_t before = 0) {
  const auto images = random_images(kImages);
  auto spec = spec_of_two();
  spec.workers = workers;
  auto expected = naive_mean(spec, images);
  if (!cascade.empty()) {
    spec.cascade = cascade;
    Ensemble calm(published(spec), with_worker());
    const auto of_all = std::exchange(expected, calm.predict(view(images)).values);
    REQUIRE(of_all != expected);
    REQUIRE(calm.status().members[1].images > 0);
  }
  if (before > 0) {
    spec.members[0].before = {{{FakeModel{.classes = before, .faults = {}}, {}}, config::CpuDevice{}}};
    spec.members[0].before[0].steps = {{SoftmaxStep{}}, {TopKStep{.k = before / 2}}};
    Ensemble calm(published(spec), with_worker());
    const auto without = std::exchange(expected, calm.predict(view(images)).values);
    REQUIRE(without != expected);
  }
  for (const std::string_view point : kWorkerKillPoints) {
    if (only_in_training(point) || only_of_spares(point) || (only_of_stages(point) && before == 0)) continue;
    for (const int visit : {1, 2}) {
      CAPTURE(point);
      CAPTURE(visit);
      const NothingLeft census;
      const Armed armed(point, visit);
      {
        Ensemble ensemble(published(spec), with_worker());
        CHECK(ensemble.predict(view(images)).values == expected);
      }
      // Most steps of a start are taken once. A pool in which a replica still computes what another was faster with
      // does not ask its workers to leave, but ends them.
      const bool may_be_left_out =
          workers.size() == 1 && workers.front().replicas > 1 && point == "worker.stop_received";
      if (visit == 1 && !may_be_left_out) CHECK(armed.has_struck());
    }
  }
}

TEST_CASE("a worker that is killed at any step of its life changes no bit of a prediction") { check_predictions({}); }

TEST_CASE("a worker that members share and that is killed at any step of its life changes no bit of a prediction") {
  for (const UnitMode mode : {UnitMode::loop, UnitMode::threads}) {
    CAPTURE(to_name(mode));
    check_predictions({{{0, 1}, mode}});
  }
}

TEST_CASE("a replica that is killed at any step of its life changes no bit of a prediction") {
  check_predictions({{.members = {0}, .replicas = 2}});
  check_predictions({{.members = {0, 1}, .mode = UnitMode::threads, .replicas = 2}});
}

TEST_CASE("a worker that is killed at any step of its life changes no bit of a cascade") {
  const std::vector<config::CascadeStep> cascade{{{0}, config::Doubt::confidence_below, 0.3, {1}}};
  check_predictions({}, cascade);
  check_predictions({{.members = {1}, .replicas = 2}}, cascade);
}

TEST_CASE("a stage with steps that is killed at any step of its life changes no bit of a prediction") {
  check_predictions({}, {}, 12);
}

void check_training(const std::vector<config::UnitSpec>& workers) {
  auto spec = spec_of_two();
  std::vector<std::string> expected;
  {
    Ensemble calm(published(spec), with_worker());
    expected = train(calm);
  }
  spec.workers = workers;
  for (const std::string_view point : kWorkerKillPoints) {
    if (only_of_spares(point) || only_of_stages(point)) continue;
    // Only a replacement reads a checkpoint, so another death makes sure that there is one.
    fake_model(spec, 0).faults.clear();
    if (contains(std::string(point), "restore"))
      fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::train, 15}};
    for (const int visit : {1, 2, 5}) {
      CAPTURE(point);
      CAPTURE(visit);
      const NothingLeft census;
      const Armed armed(point, visit);
      {
        Ensemble ensemble(published(spec), with_worker());
        CHECK(train(ensemble) == expected);
      }
      if (visit == 1) CHECK(armed.has_struck());
    }
  }
}

TEST_CASE("a worker that is killed at any step of its life changes no bit of a training") { check_training({}); }

TEST_CASE("a worker that members share and that is killed at any step of its life changes no bit of a training") {
  for (const UnitMode mode : {UnitMode::loop, UnitMode::threads}) {
    CAPTURE(to_name(mode));
    check_training({{{0, 1}, mode}});
  }
}

}  // namespace
}  // namespace tutti::test
