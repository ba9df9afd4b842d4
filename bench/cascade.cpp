// What a cascade saves: an ensemble that asks a second member for a fifth of the samples, against one that asks it for
// all, and one that has only the first. One row per figure, with the aim.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/pool_load.hpp"
#include "bench/rows.hpp"
#include "common/random.hpp"
#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;

constexpr ImageShape kShape{3, 32, 32};
constexpr std::size_t kImages = 8000;
constexpr double kShare = 0.2;

/// Members of small-cnn on these cores, each with a thread.
Spec spec_of(std::size_t members, const std::string& cores, const std::string& more) {
  std::string devices = "workers: [";
  for (std::size_t m = 0; m < members; ++m)
    devices += fmt::format("{}{{members: [m{}], device: cpu:{}}}", m == 0 ? "" : ", ", m, cores[m]);
  return parse_spec(members_yaml("{kind: small-cnn}", static_cast<int>(members)) + devices +
                    "]\nthreads: 1\nsegment_images: 500\nbatch_images: 20\ninput: {shape: [3, 32, 32]}\n" + more);
}

std::vector<float> random_pixels() {
  std::vector<float> pixels(kImages * kShape.elements());
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = unit_float(random_at(7, i));
  return pixels;
}

/// The confidence below which the share of these predictions is.
double threshold_for(const Predictions& predictions, double share) {
  std::vector<float> largest;
  for (std::size_t i = 0; i < predictions.count; ++i) {
    const auto row = predictions.values.begin() + static_cast<std::ptrdiff_t>(i * predictions.width);
    largest.push_back(*std::max_element(row, row + predictions.width));
  }
  const auto at = largest.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(largest.size()));
  std::nth_element(largest.begin(), at, largest.end());
  return double{*at};
}

/// `cores`: that of each member.
void measure(Rows& out, const std::string& cores, const std::string& title, int repeats) {
  const auto pixels = random_pixels();
  const Images images{std::span<const float>(pixels), kShape};
  Ensemble alone(spec_of(1, cores, ""));
  Ensemble all(spec_of(2, cores, ""));
  const double threshold = threshold_for(alone.predict(images), kShare);
  Ensemble cascade(
      spec_of(2, cores, fmt::format("cascade: {{when: {{confidence_below: {:.9}}}, then: [m1]}}\n", threshold)));
  seconds_for(all, images);
  seconds_for(cascade, images);
  const double asked = static_cast<double>(cascade.status().members[1].images) / static_cast<double>(kImages);
  std::vector<double> first;
  std::vector<double> whole;
  std::vector<double> cascaded;
  std::vector<double> saving;
  for (int i = 0; i < repeats; ++i) {
    first.push_back(seconds_for(alone, images));
    cascaded.push_back(seconds_for(cascade, images));
    whole.push_back(seconds_for(all, images));
    // All of the second member's work but for the samples that were passed on.
    const double ideal = (whole.back() - first.back()) * (1 - asked);
    saving.push_back((whole.back() - cascaded.back()) / ideal);
  }
  out.add(fmt::format("{}: the first member alone", title), first, "s", "");
  out.add("... both, for every sample", whole, "s", "");
  out.add(fmt::format("... a cascade that passes {:.1f} % on", 100 * asked), cascaded, "s", "");
  out.add("... what it saves, of the ideal", saving, "", ">= 0.9");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "cascade", "What a cascade saves", [](Rows& out, int repeats) {
    measure(out, "00", fmt::format("two small-cnn on one core, {} images", kImages), repeats);
  });
}
