// LibTorch members that share a worker, in a loop, in threads and fused, held against members with a worker each.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/atomic_file.hpp"
#include "common/random.hpp"
#include "config/spec.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"

namespace tutti::test::shared_pool {
namespace {

constexpr std::uint32_t kImages = 53;  // divides neither by the segment nor by the batch
constexpr ImageShape kShape{3, 32, 32};

Spec ensemble_of(const std::string& workers, const std::string& model = "{kind: small-cnn}") {
  return parse_spec(fmt::format(R"(
members:
  - {{name: a, model: {0}}}
  - {{name: b, model: {0}}}
  - {{name: c, model: {0}}}
  - {{name: d, model: {{kind: mlp, layers: [32, 10]}}}}
assignment: cpu
threads: 1
{1}
save_members: true
input: {{shape: [3, 32, 32]}}
segment_images: 20
batch_images: 6
restarts: {{back_off_s: 0.001}}
)",
                                model, workers));
}

Predictions predict(const Spec& spec, const std::vector<float>& pixels) {
  Ensemble ensemble(spec);
  return ensemble.predict(Images{pixels, kShape});
}

std::set<int> pids(const Ensemble& ensemble) {
  std::set<int> all;
  for (const MemberStatus& member : ensemble.status().members) all.insert(member.pid);
  return all;
}

TEST_CASE("in a loop or in threads a shared worker computes the bytes of separate ones") {
  const auto pixels = some_images(kImages, kShape);
  const Predictions separate = predict(ensemble_of(""), pixels);
  for (const char* mode : {"loop", "threads"}) {
    CAPTURE(mode);
    Ensemble ensemble(ensemble_of(fmt::format("workers: [{{members: [a, b, c, d], mode: {}}}]", mode)));
    CHECK(pids(ensemble).size() == 1);
    const Predictions shared = ensemble.predict(Images{pixels, kShape});
    CHECK(shared.values == separate.values);
    for (std::size_t rank = 0; rank < separate.members.size(); ++rank)
      CHECK(shared.members[rank].values == separate.members[rank].values);
  }
}

/// Pixels that the number of the image tells.
class MadeUp final : public Source {
 public:
  std::string name() const override { return "made-up"; }
  ImageShape shape() const override { return kShape; }
  std::uint64_t count() const override { return 96; }
  std::uint32_t classes() const override { return 10; }
  bool labelled() const override { return true; }
  void read(std::span<const std::uint64_t> indices, std::span<float> images, std::span<std::int64_t> labels) override {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      labels[i] = static_cast<std::int64_t>(indices[i] % 10);
      for (std::size_t p = 0; p < kShape.elements(); ++p)
        images[i * kShape.elements() + p] = unit_float(random_at(indices[i], p));
    }
  }
};

/// The weights of each member, and what they predict. The first member's worker is killed if that is wanted.
std::vector<std::string> learn(const std::string& workers, bool kill, std::vector<float>& values) {
  const TemporaryFolder folder;
  Options options;
  options.training = true;
  Ensemble ensemble(ensemble_of(workers + "\ntrain: {epochs: 2, batch_images: 8, bootstrap: true}"), options);
  MadeUp source;
  bool killed = !kill;
  const TrainResult result = ensemble.train(source, folder.path(), [&](const EpochResult&) {
    if (!std::exchange(killed, true)) ::kill(ensemble.status().members[0].pid, SIGKILL);
  });
  CHECK((ensemble.status().faults.deaths > 0) == kill);
  std::vector<std::string> weights;
  for (const auto& file : result.weights) weights.push_back(read_text(file, "weights"));
  values = ensemble.predict(Images{some_images(kImages, kShape), kShape}).values;
  return weights;
}

TEST_CASE("in a loop, in threads or fused members of a shared worker learn the bytes of separate ones") {
  std::vector<float> expected;
  const std::vector<std::string> separate = learn("", false, expected);
  CHECK(separate[0] != separate[1]);
  for (const char* mode :
       {"members: [a, b, c, d], mode: loop", "members: [a, b, c, d], mode: threads", "members: [a, b, c], mode: fused"})
    for (const bool kill : {false, true}) {
      CAPTURE(mode);
      CAPTURE(kill);
      std::vector<float> values;
      CHECK(learn(fmt::format("workers: [{{{}}}]", mode), kill, values) == separate);
      CHECK(values == expected);
    }
}

TEST_CASE("fused members answer as separate ones but for the last bits") {
  constexpr float kTolerance = 1e-5F;
  const auto pixels = some_images(kImages, kShape);
  for (const char* model : {"{kind: small-cnn}", "{kind: mlp, layers: [24, 16, 10]}"}) {
    CAPTURE(model);
    const Predictions separate = predict(ensemble_of("", model), pixels);
    Ensemble ensemble(ensemble_of("workers: [{members: [a, c, b], mode: fused}]", model));
    CHECK(pids(ensemble).size() == 2);
    CHECK(ensemble.status().members[2].backend.ends_with(", 3 fused"));
    const Predictions fused = ensemble.predict(Images{pixels, kShape});
    for (std::size_t rank = 0; rank < separate.members.size(); ++rank) {
      const auto& expected = separate.members[rank].values;
      const auto& found = fused.members[rank].values;
      REQUIRE(found.size() == expected.size());
      float farthest = 0;
      for (std::size_t i = 0; i < found.size(); ++i) farthest = std::max(farthest, std::fabs(found[i] - expected[i]));
      CHECK(farthest < kTolerance);
    }
    CHECK(fused.members[3].values == separate.members[3].values);
    CHECK(predict(ensemble_of("workers: [{members: [a, b, c], mode: fused}]", model), pixels).values == fused.values);
  }
}

TEST_CASE("a fused worker that is killed changes no bit") {
  const auto pixels = some_images(kImages, kShape);
  const Spec spec = ensemble_of("workers: [{members: [a, b, c], mode: fused}]");
  const Predictions expected = predict(spec, pixels);
  Ensemble ensemble(spec);
  std::vector<std::future<Predictions>> calls;
  for (int call = 0; call < 6; ++call) {
    calls.push_back(ensemble.submit(Images{pixels, kShape}));
    const MemberStatus member = ensemble.status().members[0];
    if (member.alive) ::kill(member.pid, SIGKILL);
  }
  for (auto& call : calls) CHECK(call.get().values == expected.values);
  CHECK(ensemble.status().faults.deaths > 0);
}

TEST_CASE("members whose networks differ are not fused even if a program describes them") {
  config::EnsembleSpec spec = ensemble_of("").checked();
  spec.workers = {{{0, 3}, UnitMode::fused}};
  const auto error = error_of([&] { const Ensemble ensemble{Spec(std::make_shared<config::EnsembleSpec>(spec))}; });
  REQUIRE(error);
  CHECK(std::string(error->what()).find("members 'a' and 'd' cannot be fused") != std::string::npos);
}

}  // namespace
}  // namespace tutti::test::shared_pool
