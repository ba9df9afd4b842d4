// What stages are worth: a member of two equal stages, each in a worker of its own, against two separate workers of the
// same model that compute as much side by side. One row per figure, with the aim. It needs two cores.
#include <fmt/format.h>

#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/pool_load.hpp"
#include "bench/rows.hpp"
#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;

/// As many values as the models output, so that each stage does the same.
constexpr ImageShape kShape{1, 16, 32};
constexpr std::size_t kSegment = 100;

/// An ensemble of this member, whose workers have a thread each, with these lines.
Spec spec_of(const std::string& member, const std::string& more) {
  return parse_spec(
      fmt::format("members: [{{name: m0, {}}}]\n"
                  "combine: {{rule: mean, over: logits}}\n"
                  "threads: 1\nsegment_images: {}\nbatch_images: 20\nslots: 8\n"
                  "input: {{shape: [{}, {}, {}]}}\n{}",
                  member, kSegment, kShape.channels, kShape.height, kShape.width, more));
}

/// Both compute each segment twice: the stages one after the other, each at another segment, and the separate workers
/// with nothing between them. In pairs.
void measure(Rows& out, const std::string& title, const std::string& model, std::size_t segments, int repeats) {
  const auto alone_on = [&](int core) {
    return spec_of(fmt::format("model: {}", model), fmt::format("assignment: cpu:{}\n", core));
  };
  Ensemble chain(
      spec_of(fmt::format("stages: [{{model: {0}, device: cpu:0}}, {{model: {0}, device: cpu:1}}]", model), ""));
  Ensemble first(alone_on(0));
  Ensemble second(alone_on(1));
  const std::vector<float> pixels(segments * kSegment * kShape.elements(), 0.5F);
  const Images images{std::span<const float>(pixels), kShape};
  seconds_for(chain, images);
  seconds_side_by_side(first, second, images);
  std::vector<double> staged;
  std::vector<double> apart;
  std::vector<double> ratio;
  for (int i = 0; i < repeats; ++i) {
    staged.push_back(seconds_for(chain, images));
    apart.push_back(seconds_side_by_side(first, second, images));
    ratio.push_back(apart.back() / staged.back());
  }
  out.add(fmt::format("{}, {} segments: two workers side by side", title, segments), apart, "s", "");
  out.add("... two stages", staged, "s", "");
  out.add("... speed of the stages, of that of the workers", ratio, "", ">= 0.95");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "stages", "What stages are worth", [](Rows& out, int repeats) {
    measure(out, "fake models of 2 ms", "{kind: fake, classes: 512, delay_us: 400, reads_input: false}", 200, repeats);
    measure(out, "mlp of 512, 512 and 512", "{kind: mlp, layers: [512, 512]}", 200, repeats);
  });
}
