// Worker programs with LibTorch members that die while they train: their replacements, new processes, save and predict
// with the same bytes. And a spare that has opened LibTorch before it knows its member.
#include "tests/worker/replacement.hpp"

#include <doctest/doctest.h>

#include "common/kill_point.hpp"
#include "common/random.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"
#include "tests/torch/requests.hpp"

namespace tutti::test {
namespace {

Training three_segments(ModelKind kind) {
  constexpr ImageShape kImage{3, 32, 32};
  Training training{test::kWorkerProgram, request_for(std::move(kind)), {1, 24, kImage}, 4, {}};
  training.member.train_batch_images = 8;
  training.member.bootstrap = true;
  for (std::uint64_t segment = 0; segment < 3; ++segment) {
    training.segments.push_back(some_images(24));
    for (float& value : training.segments.back()) value *= static_cast<float>(segment + 1) / 3;
  }
  return training;
}

TEST_CASE("a LibTorch member that is killed is restored by a fresh process and saves the same bytes") {
  const TemporaryFolder folder;
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{4}), ModelKind(MlpModel{{16, 4}})}) {
    Training training = three_segments(kind);
    const Trained undisturbed = Replacing(training).run(folder / "a");
    for (const std::uint32_t every : {1U, 2U}) {
      training.checkpoint_every = every;
      const Trained trained = Replacing(training).run(folder / "b", 2);
      CHECK(trained.deaths == 1);
      CHECK(trained.weights == undisturbed.weights);
      CHECK(trained.answers == undisturbed.answers);
    }
  }
}

TEST_CASE("a spare that has opened LibTorch becomes any member and predicts like another") {
  const Training training = three_segments(MlpModel{{16, 4}});
  std::vector<std::vector<float>> answers;
  for (const bool preloaded : {false, true}) {
    const Checkpoints files;
    Hosted worker(training.program, training.arena, training.width, files);
    worker.receive<control::Hello>();
    if (preloaded) worker.send(control::Preload{false});
    worker.load(training.member);
    worker.start();
    worker.fill(0, training.segments[0], 0);
    worker.hand_out({0, 0, 0, 0, 24, TaskKind::predict, {}, 0, 8});
    worker.answer();
    answers.push_back(worker.output(0, 24));
  }
  CHECK(answers[0] == answers[1]);
}

#ifdef TUTTI_KILL_POINTS
TEST_CASE("a spare dies at the scripted faults of preloading") {
  const TemporaryFolder folder;
  const Training training = three_segments(MlpModel{{16, 4}});
  for (const std::string point : {"worker.preload_received", "worker.preloaded"}) {
    AtomicFile(folder / "token").commit();
    const Checkpoints files;
    Hosted worker(training.program, training.arena, training.width, files, {},
                  {{"TUTTI_KILL_POINT", point + ":1:" + (folder / "token").string()}});
    worker.receive<control::Hello>();
    worker.send(control::Preload{false});
    CHECK(std::get<Signaled>(worker.end()).signal == SIGKILL);
  }
}
#endif

}  // namespace
}  // namespace tutti::test
