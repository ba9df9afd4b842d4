// How fast the accumulator combines, by rule.
#include <fmt/format.h>

#include <vector>

#include "bench/micro/benches.hpp"
#include "common/random.hpp"
#include "coordinator/decide/accumulator.hpp"

namespace tutti::bench::micro {
namespace {

constexpr std::size_t kMembers = 4;
constexpr std::uint32_t kImages = 500;
constexpr std::uint32_t kWidth = 10;

void combine(benchmark::State& state, CombineRule rule) {
  config::CombineSpec spec;
  spec.rule = rule;
  const Accumulator accumulator(spec, {1, 2, 3, 4});
  std::vector<std::vector<float>> answers(kMembers, std::vector<float>(kImages * kWidth));
  std::vector<std::span<const float>> views;
  for (std::size_t m = 0; m < kMembers; ++m) {
    for (std::size_t i = 0; i < answers[m].size(); ++i) answers[m][i] = unit_float(random_at(m, i));
    views.emplace_back(answers[m]);
  }
  for (auto _ : state) benchmark::DoNotOptimize(accumulator.combine(views, kImages, kWidth));
  state.counters["rows"] =
      benchmark::Counter(static_cast<double>(kImages * state.iterations()), benchmark::Counter::kIsRate);
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
              [wanted = rule](benchmark::State& state) { combine(state, wanted); });
  }
}

}  // namespace tutti::bench::micro
