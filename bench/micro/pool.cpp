// The whole pool with members of a fixed cost: what a segment costs besides them, how soon workers are ready, and the
// memory of one. The members read no image, so computing a segment is as cheap as possible.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/micro/benches.hpp"
#include "bench/micro/measured_sources.hpp"
#include "bench/pool_load.hpp"
#include "common/counted.hpp"
#include "images/sources.hpp"

namespace tutti::bench::micro {
namespace {

constexpr int kMembers = 4;
constexpr std::uint32_t kImages = 500;

Spec fakes(int members, std::int64_t delay, std::uint32_t segment_images, std::uint32_t batch_images) {
  std::string yaml = "members:\n";
  for (int m = 0; m < members; ++m)
    yaml += fmt::format(
        "  - {{name: m{}, output: probabilities, model: {{kind: fake, reads_input: false, delay_us: {}}}}}\n", m,
        delay);
  return parse_spec(yaml + fmt::format("assignment: cpu\ninput: {{shape: [3, 32, 32]}}\nsegment_images: {}\n"
                                       "batch_images: {}\n",
                                       segment_images, batch_images));
}

double busy_seconds(const Status& status) {
  double sum = 0;
  for (const MemberStatus& member : status.members) sum += member.busy_seconds;
  return sum;
}

/// Runs the pool on `segments` segments of `source`, which has as many and a few more for warming up, and counts.
void run_segments(benchmark::State& state, Ensemble& ensemble, Source& source, std::int64_t segments) {
  NullSink sink;
  const Status before = ensemble.status();
  const double cpu = process_cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  while (state.KeepRunningBatch(segments)) ensemble.run(source, sink);
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double all_cpu = process_cpu_seconds() - cpu;
  const Status after = ensemble.status();
  state.counters["loop"] =
      (after.coordinator_cpu_seconds - before.coordinator_cpu_seconds) * 1e6 / static_cast<double>(segments);
  state.counters["cpu"] = 100 * all_cpu / wall;
  state.counters["busy"] = 100 * (busy_seconds(after) - busy_seconds(before)) / wall / kMembers;
  state.counters["GB/s"] = 1e-9 * static_cast<double>(after.input_bytes_copied - before.input_bytes_copied) / wall;
}

void warm_up(Ensemble& ensemble) {
  FilledSource source(std::uint64_t{20} * kImages, FilledSource::Slots::write);
  NullSink sink;
  ensemble.run(source, sink);
}

/// The cost of a pool's members: the time of each batch of a segment.
struct Cost {
  std::int64_t delay = 0;  ///< microseconds
  std::uint32_t batch_images = kImages;

  std::int64_t per_segment() const { return delay * (kImages / batch_images); }
};

void filled(benchmark::State& state, const Cost& cost, std::int64_t segments) {
  Ensemble ensemble(fakes(kMembers, cost.delay, kImages, cost.batch_images));
  warm_up(ensemble);
  FilledSource source(static_cast<std::uint64_t>(segments) * kImages, FilledSource::Slots::leave);
  run_segments(state, ensemble, source, segments);
}

void copied(benchmark::State& state, Source& images, std::int64_t segments) {
  Ensemble ensemble(fakes(kMembers, 0, kImages, kImages));
  warm_up(ensemble);
  CyclicSource source(images, static_cast<std::uint64_t>(segments) * kImages);
  run_segments(state, ensemble, source, segments);
}

json::object conditions(const Cost& cost) {
  return {{"members", kMembers},
          {"segment_images", kImages},
          {"batch_images", cost.batch_images},
          {"delay_us", cost.delay}};
}

void add_filled(Suite& suite, const Cost& cost) {
  // About half a second.
  const std::int64_t segments = 500'000 / (cost.per_segment() + 100);
  const bool costly = cost.delay >= 1000;
  std::vector<Figure> figures{
      {{.conditions = conditions(cost), .unit = "us", .aim = cost.delay == 0 ? "<= 60" : "", .note = "per segment"}},
      {{.name = "pool: CPU of the loop per segment", .conditions = conditions(cost), .unit = "us"}, "loop"}};
  if (cost.delay > 0) {
    figures.push_back({{.name = "pool: time that a member computes",
                        .conditions = conditions(cost),
                        .unit = "%",
                        .higher_is_better = true,
                        .aim = costly ? ">= 98" : ""},
                       "busy"});
    figures.push_back({{.name = "pool: CPU of the coordinator",
                        .conditions = conditions(cost),
                        .unit = "%",
                        .aim = costly ? "< 1" : "",
                        .note = "of one core, all its threads"},
                       "cpu"});
  }
  for (Figure& figure : figures)
    if (figure.row.name.empty()) figure.row.name = "pool: segments from a filled arena";
  suite.add(
      fmt::format("pool: {} fake members of {} us per {} images, filled arena", kMembers, cost.delay,
                  cost.batch_images),
      std::move(figures), [cost, segments](benchmark::State& state) { filled(state, cost, segments); }, segments);
}

void add_copied(Suite& suite, std::uint64_t source_images) {
  constexpr std::int64_t kSegments = 1000;
  const auto pixels = std::make_shared<std::vector<float>>(source_images * kShape.elements(), 0.5F);
  json::object fixed = conditions({});
  fixed["source_images"] = source_images;
  suite.add(
      fmt::format("pool: {} fake members of 0 us, copied from {} images", kMembers, source_images),
      {{{.name = "pool: segments copied from a source", .conditions = fixed, .unit = "us", .note = "per segment"}},
       {{.name = "pool: rate of copying from a source",
         .conditions = fixed,
         .unit = "GB/s",
         .higher_is_better = true,
         .aim = ">= 8"},
        "GB/s"}},
      [pixels](benchmark::State& state) {
        const auto source = images::make_memory({std::span<const float>(*pixels), kShape});
        copied(state, *source, kSegments);
      },
      kSegments);
}

/// With a tiny arena, so that the figure is only the worker's memory.
void start(benchmark::State& state, int members) {
  const Spec spec = fakes(members, 0, 1, 1);
  double ready = 0;
  double memory = 0;
  for (auto _ : state) {
    const Ensemble ensemble(spec);
    state.PauseTiming();
    const Status status = ensemble.status(StatusDetail::memory);
    ready += status.start_up_seconds;
    for (const MemberStatus& member : status.members) memory += static_cast<double>(member.pss_bytes.value_or(0));
    state.ResumeTiming();
  }
  const auto starts = static_cast<double>(state.iterations());
  state.counters["ready"] = ready * 1e3 / starts;
  state.counters["MiB"] = memory / starts / members / (1 << 20);
}

void add_start(Suite& suite, int members) {
  const json::object fixed{{"members", members}};
  suite.add(
      fmt::format("pool: start and end of {}", counted(static_cast<std::uint64_t>(members), "fake member")),
      {{{.name = "pool: from the first spawn to all ready", .conditions = fixed, .unit = "ms"}, "ready"},
       {{.name = "pool: memory of a worker", .conditions = fixed, .unit = "MiB", .note = "PSS"}, "MiB"}},
      [members](benchmark::State& state) { start(state, members); }, 3);
}

}  // namespace

void add_pool(Suite& suite) {
  for (const std::int64_t delay : {0, 50, 200, 1000}) add_filled(suite, {.delay = delay});
  add_filled(suite, {.delay = 1000, .batch_images = 20});
  add_copied(suite, 500);
  add_copied(suite, 6000);
  add_start(suite, 1);
  add_start(suite, 4);
}

}  // namespace tutti::bench::micro
