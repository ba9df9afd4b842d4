// How fast the slots of the arena are filled from a source: the one copy that each image has. No workers.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "bench/micro/benches.hpp"
#include "bench/micro/measured_sources.hpp"
#include "bench/pool_load.hpp"
#include "coordinator/api/prediction.hpp"
#include "images/sources.hpp"

namespace tutti::bench::micro {
namespace {

const ArenaLayout kLayout{4, 500, kShape};

void fill(benchmark::State& state, Source& images) {
  MemoryFile file = MemoryFile::create("bench");
  file.allocate(kLayout.bytes(), "the arena");
  const Mapping arena(file, Access::read_write, "the arena");
  // The first round fills the caches, as in a stream of segments.
  const auto segments = static_cast<std::uint64_t>(state.max_iterations) + kLayout.slots;
  CyclicSource source(images, segments * kLayout.images);
  NullSink sink;
  const Lineup lineup = whole_lineup(Accumulator({}, {1}), {Dims{10}}, ClassAxis::of_row(10));
  Prediction prediction(source, sink, std::make_shared<const Lineup>(lineup));
  std::uint32_t slot = 0;
  for (; slot < kLayout.slots; ++slot) prediction.fill(arena.data(), kLayout, SlotId(slot));
  for (auto _ : state) prediction.fill(arena.data(), kLayout, SlotId(slot++ % kLayout.slots));
  const double bytes = static_cast<double>(kLayout.images * kShape.elements() * sizeof(float));
  state.counters["GB/s"] =
      benchmark::Counter(1e-9 * bytes * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void add_fill(Suite& suite, const std::string& from, const std::string& aim, const std::shared_ptr<Source>& source) {
  const json::object conditions{{"segment_images", kLayout.images}, {"source_images", source->count()}};
  suite.add(fmt::format("arena: fill from {}, {} images", from, source->count()),
            {{{.name = "arena: fill from " + from, .conditions = conditions, .unit = "us", .note = "per segment"}},
             {{.name = "arena: fill rate from " + from,
               .conditions = conditions,
               .unit = "GB/s",
               .higher_is_better = true,
               .aim = aim},
              "GB/s"}},
            [source](benchmark::State& state) { fill(state, *source); });
}

/// Holds the pixels that its view refers to.
template <class Value>
std::shared_ptr<Source> memory_source(std::size_t images, Value value) {
  const auto pixels = std::make_shared<std::vector<Value>>(images * kShape.elements(), value);
  const std::shared_ptr<Source> view = images::make_memory({std::span<const Value>(*pixels), kShape});
  return {view.get(), [view, pixels](Source*) {}};
}

}  // namespace

void add_arena(Suite& suite) {
  add_fill(suite, "float32 in memory", ">= 8", memory_source(500, 0.5F));
  add_fill(suite, "float32 in memory", ">= 8", memory_source(6000, 0.5F));
  add_fill(suite, "bytes in memory", "", memory_source(6000, std::uint8_t{128}));
  add_fill(suite, "the digits", "", images::make_digits(images::Split::test));
}

}  // namespace tutti::bench::micro
