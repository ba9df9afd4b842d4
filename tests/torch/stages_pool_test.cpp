// Native networks as stages: they compute what each of them computes by itself.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "tests/torch/requests.hpp"

namespace {

using namespace tutti;

constexpr ImageShape kStagesShape{3, 8, 8};
constexpr std::uint32_t kStagesImages = 23;

/// The logits of an ensemble of one member with these keys, for samples of this shape.
std::vector<float> logits_of(const std::string& keys, const std::vector<float>& samples, ImageShape shape) {
  Ensemble ensemble(parse_spec(fmt::format(R"(
members: [{{name: a, seed: 5, {}}}]
assignment: cpu
threads: 1
combine: {{rule: mean, over: logits}}
input: {{shape: [{}, {}, {}]}}
segment_images: 6
batch_images: 4
)",
                                           keys, shape.channels, shape.height, shape.width)));
  return ensemble.predict(Images(samples, shape)).values;
}

TEST_CASE("networks of Tutti in stages predict what they predict one after the other") {
  const std::vector<float> pixels = test::some_images(kStagesImages, kStagesShape);
  const std::string first = "model: {kind: mlp, layers: [16, 12]}";
  const std::string last = "model: {kind: mlp, layers: [8, 4]}";
  const auto chained = logits_of(fmt::format("stages: [{{{}}}, {{{}}}]", first, last), pixels, kStagesShape);
  CHECK(chained.size() == std::size_t{kStagesImages} * 4);
  CHECK(chained == logits_of(last, logits_of(first, pixels, kStagesShape), {12, 1, 1}));
}

}  // namespace
