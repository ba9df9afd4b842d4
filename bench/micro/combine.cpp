// How fast the accumulator combines, by rule: rows of scores, and masks, which do not fit into any cache.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "bench/micro/benches.hpp"
#include "common/random.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "coordinator/decide/spread.hpp"

namespace tutti::bench::micro {
namespace {

using Predictions = std::vector<std::vector<float>>;  // one per member
using Views = std::vector<std::span<const float>>;

// ---- rows ----------------------------------------------------------------------------------------------------------

constexpr std::size_t kMembers = 4;
constexpr std::uint32_t kImages = 500;
constexpr std::uint32_t kWidth = 10;

void combine_rows(benchmark::State& state, CombineRule rule) {
  config::CombineSpec spec;
  spec.rule = rule;
  const Accumulator accumulator(spec, {1, 2, 3, 4});
  Predictions answers(kMembers, std::vector<float>(kImages * kWidth));
  for (std::size_t m = 0; m < kMembers; ++m)
    for (std::size_t i = 0; i < answers[m].size(); ++i) answers[m][i] = unit_float(random_at(m, i));
  const Views views(answers.begin(), answers.end());
  const std::vector<bool> present(kMembers, true);
  Accumulator::Result result;  // the pool keeps its own, too
  for (auto _ : state) {
    accumulator.combine(views, present, kImages, ClassAxis::of_row(kWidth), result);
    benchmark::ClobberMemory();
  }
  state.counters["rows"] =
      benchmark::Counter(static_cast<double>(kImages * state.iterations()), benchmark::Counter::kIsRate);
}

// ---- masks ---------------------------------------------------------------------------------------------------------

constexpr std::size_t kMaskMembers = 5;
constexpr std::size_t kSide = 512;
constexpr ClassAxis kMask{1, 21, kSide* kSide};

/// Probabilities as members predict them that agree on most of the image: each tile of 32 x 32 is of one class, which
/// a member misses in one tile of ten.
const Predictions& masks() {
  static const Predictions all = [] {
    Predictions made(kMaskMembers, std::vector<float>(kMask.values()));
    for (std::size_t m = 0; m < kMaskMembers; ++m)
      for (std::size_t p = 0; p < kMask.inner; ++p) {
        const std::size_t tile = p / kSide / 32 * kSide + p % kSide / 32;
        const bool misses = random_at(m, tile) % 10 == 0;
        const std::size_t chosen = random_at(misses ? m : kMaskMembers, tile) % kMask.classes;
        float sum = 0;
        const auto value = [&](std::size_t c) -> float& { return made[m][c * kMask.inner + p]; };
        for (std::size_t c = 0; c < kMask.classes; ++c)
          sum += value(c) = unit_float(random_at(m, c * kMask.inner + p)) + (c == chosen ? 5.0F : 0.001F);
        for (std::size_t c = 0; c < kMask.classes; ++c) value(c) /= sum;
      }
    return made;
  }();
  return all;
}

template <class Call>
void with_masks(benchmark::State& state, Call call) {
  const Views views(masks().begin(), masks().end());
  const std::vector<bool> present(kMaskMembers, true);
  for (auto _ : state) {
    call(views, present);
    benchmark::ClobberMemory();
  }
  const auto bytes = static_cast<double>(kMaskMembers * kMask.values() * sizeof(float));
  state.counters["GB/s"] =
      benchmark::Counter(1e-9 * bytes * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void add_masks(Suite& suite, const std::string& what, std::function<void(benchmark::State&)> run,
               std::string aim = {}) {
  suite.add(fmt::format("combine: {}, {} masks of 21x512x512", what, kMaskMembers),
            {{{.conditions = {{"members", kMaskMembers}, {"classes", kMask.classes}, {"positions", kMask.inner}},
               .unit = "GB/s",
               .higher_is_better = true,
               .aim = std::move(aim),
               .note = "of the members' values"},
              "GB/s"}},
            std::move(run));
}

void add_rule(Suite& suite, CombineRule rule, OutputKind over, std::string aim = {}) {
  config::CombineSpec spec;
  spec.rule = rule;
  spec.over = over;
  add_masks(
      suite, fmt::format("{}{}", to_name(rule), spec.decides() ? "" : " without a decision"),
      [spec](benchmark::State& state) {
        const Accumulator accumulator(spec, std::vector<float>(kMaskMembers, 1));
        Accumulator::Result result;
        with_masks(state, [&](const Views& views, const std::vector<bool>& present) {
          accumulator.combine(views, present, 1, kMask, result);
        });
      },
      std::move(aim));
}

void add_spread(Suite& suite, Spread kind, const std::string& name) {
  add_masks(suite, name, [kind](benchmark::State& state) {
    std::vector<float> result;
    with_masks(state, [&](const Views& views, const std::vector<bool>& present) {
      spread(kind, views, present, 1, kMask, result);
    });
  });
}

}  // namespace

void add_combine(Suite& suite) {
  for (const auto& [rule, name] : enum_names(CombineRule{})) {
    if (rule == CombineRule::none) continue;
    suite.add(fmt::format("combine: {}", name),
              {{{.conditions = {{"members", kMembers}, {"segment_images", kImages}, {"classes", kWidth}},
                 .unit = "images/s",
                 .higher_is_better = true},
                "rows"}},
              [wanted = rule](benchmark::State& state) { combine_rows(state, wanted); });
  }
  for (const auto& [rule, name] : enum_names(CombineRule{})) {
    const bool adds = rule == CombineRule::mean || rule == CombineRule::sum || rule == CombineRule::weighted;
    if (rule == CombineRule::none) continue;
    add_rule(suite, rule, OutputKind::probabilities, adds || rule == CombineRule::max ? ">= 4" : "");
  }
  add_rule(suite, CombineRule::mean, OutputKind::features);
  add_spread(suite, Spread::variance, "variance");
  add_spread(suite, Spread::entropy, "entropy");
}

}  // namespace tutti::bench::micro
