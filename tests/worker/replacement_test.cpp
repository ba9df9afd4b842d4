// Worker programs that die while they train: their replacements save the same bytes.
#include "tests/worker/replacement.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/kill_point.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

Training four_segments() {
  Training training{test::kWorkerProgram, fake_request(), {2, 8, kShape}, 4, {}};
  training.member.learning_rate = 0.25;
  training.member.train_batch_images = 3;
  for (std::uint64_t segment = 0; segment < 4; ++segment) training.segments.push_back(random_images(8, segment));
  return training;
}

TEST_CASE("a member that is killed between two checkpoints is restored and saves the same bytes") {
  const TemporaryFolder folder;
  Training training = four_segments();
  training.member.model = FakeModel{.classes = 4, .delay_us = 2000, .faults = {}};
  const Trained undisturbed = Replacing(training).run(folder / "a");
  CHECK(undisturbed.deaths == 0);
  for (const std::uint32_t every : {1U, 2U, 4U})
    for (std::size_t segment = 0; segment < 4; ++segment) {
      CAPTURE(every);
      CAPTURE(segment);
      training.checkpoint_every = every;
      const Trained trained = Replacing(training).run(folder / "b", segment);
      CHECK(trained.weights == undisturbed.weights);
      CHECK(trained.answers == undisturbed.answers);
    }
}

#ifdef TUTTI_KILL_POINTS

/// Where a worker that trains comes by: no step of a spare, and none of a stage that is fed by another.
std::vector<std::string_view> points_of_training() {
  std::vector<std::string_view> points(kWorkerKillPoints.begin(), kWorkerKillPoints.end());
  std::erase_if(points, [](std::string_view point) {
    return point.starts_with("worker.preload") || point.starts_with("worker.feed");
  });
  return points;
}

/// The training with one scripted fault armed; a restored worker only visits the points of restoring.
Trained with_fault(Training training, const TemporaryFolder& folder, std::string_view point, int visit) {
  const auto token = folder / "token";
  CHECK_FALSE(std::filesystem::exists(token));
  AtomicFile(token).commit();
  training.environment = {{"TUTTI_KILL_POINT", fmt::format("{}:{}:{}", point, visit, token.string())}};
  const bool restoring = point.find("restore") != point.npos;
  return Replacing(training).run(folder / "b", restoring ? std::optional<std::size_t>(2) : std::nullopt);
}

TEST_CASE("a worker that dies at any of its scripted faults is replaced and saves the same bytes") {
  const TemporaryFolder folder;
  const Training training = four_segments();
  const Trained undisturbed = Replacing(training).run(folder / "a");
  for (const std::string_view point : points_of_training()) {
    const bool repeated = point == "worker.task_popped" || point == "worker.batch_done" ||
                          point == "worker.answer_written" || point.starts_with("worker.checkpoint") ||
                          point == "worker.completion_pushed" || point == "worker.bell_rung";
    for (const int visit : repeated ? std::vector{1, 2, 3} : std::vector{1}) {
      CAPTURE(point);
      CAPTURE(visit);
      const Trained trained = with_fault(training, folder, point, visit);
      CHECK_FALSE(std::filesystem::exists(folder / "token"));  // it was visited
      CHECK(trained.deaths == (point.find("restore") != point.npos ? 2 : 1));
      CHECK(trained.weights == undisturbed.weights);
      CHECK(trained.answers == undisturbed.answers);
    }
  }
}

#endif

}  // namespace
}  // namespace tutti::test
