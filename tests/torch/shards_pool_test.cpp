// Members that are cut into shards, each in a worker of its own: their bits are those of the whole, whichever dies.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "tests/common/temporary_folder.hpp"
#include "tests/torch/made_tower.hpp"
#include "tests/torch/requests.hpp"

namespace {

using namespace tutti;

constexpr ImageShape kCutShape{3, 32, 32};
constexpr std::uint32_t kCutImages = 61;

/// An ensemble of one member with these keys, whose outputs are combined as they are.
Spec cut_spec(const std::string& keys, std::string_view over, std::uint32_t threads, std::uint32_t batch) {
  return parse_spec(fmt::format(R"(
members: [{{name: a, seed: 5, {}}}]
assignment: cpu
threads: {}
combine: {{rule: mean, over: {}}}
input: {{shape: [3, 32, 32]}}
segment_images: 10
batch_images: {}
restarts: {{back_off_s: 0.001}}
)",
                                keys, threads, over, batch));
}

std::vector<float> predicted(const Spec& spec) {
  return Ensemble(spec).predict(Images(test::some_images(kCutImages, kCutShape), kCutShape)).values;
}

/// Kills each shard once, between two calls and in one.
void check_deaths(const Spec& spec, const std::vector<float>& expected) {
  Ensemble ensemble(spec);
  const std::vector<float> pixels = test::some_images(kCutImages, kCutShape);
  const std::size_t shards = ensemble.status().members[0].stages.size();
  REQUIRE(shards > 1);
  for (std::size_t shard = 0; shard < shards; ++shard) {
    CAPTURE(shard);
    auto before = ensemble.submit(Images(pixels, kCutShape));
    ::kill(ensemble.status().members[0].stages[shard].pid, SIGKILL);
    CHECK(before.get().values == expected);
    CHECK(ensemble.predict(Images(pixels, kCutShape)).values == expected);
  }
  CHECK(ensemble.status().members[0].deaths == shards);
}

TEST_CASE("an mlp in shards has the bits of the whole, in any cut, batch and number of threads") {
  const std::string model = "model: {kind: mlp, layers: [64, 32, 16, 4]}";
  for (const auto& [threads, batch] : {std::pair(1U, 10U), std::pair(2U, 3U)}) {
    const auto expected = predicted(cut_spec(model, "logits", threads, batch));
    CHECK(expected.size() == std::size_t{kCutImages} * 4);
    for (const char* shards : {"shards: 2", "shards: {cut: [3]}", "shards: {cut: [1, 2, 3]}"}) {
      CAPTURE(shards);
      CHECK(predicted(cut_spec(fmt::format("{}, {}", model, shards), "logits", threads, batch)) == expected);
    }
  }
}

TEST_CASE("any shard of an mlp may be killed") {
  const std::string model = "model: {kind: mlp, layers: [64, 32, 16, 4]}";
  check_deaths(cut_spec(model + ", shards: 3", "logits", 1, 4), predicted(cut_spec(model, "logits", 1, 4)));
}

TEST_CASE("a tower in shards has the bits of the whole, and any of them may be killed") {
  const test::TemporaryFolder folder;
  test::write_tower(folder.path(), {.layers = 4, .projected = true});
  for (const char* output : {"pooled", "projected"}) {
    const std::string model =
        fmt::format("model: {{kind: clip-vit, path: '{}', output: {}}}, input: {{}}", folder.path().string(), output);
    for (const auto& [threads, batch] : {std::pair(1U, 10U), std::pair(2U, 3U)}) {
      const auto expected = predicted(cut_spec(model, "features", threads, batch));
      for (const char* shards : {"shards: 2", "shards: {cut: [3]}", "shards: {cut: [1, 2, 3]}"}) {
        CAPTURE(shards);
        CHECK(predicted(cut_spec(fmt::format("{}, {}", model, shards), "features", threads, batch)) == expected);
      }
    }
    check_deaths(cut_spec(model + ", shards: 3", "features", 1, 4), predicted(cut_spec(model, "features", 1, 4)));
  }
}

}  // namespace
