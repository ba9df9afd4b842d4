// How many records one ring carries: on one thread, and from core to core.
#include <cstdint>

#include "bench/micro/benches.hpp"
#include "bench/micro/peer.hpp"
#include "bench/micro/transports.hpp"

namespace tutti::bench::micro {
namespace {

const ChannelLayout kLayout(64, 1, {1});

void push_and_pop(benchmark::State& state) {
  const Channels channels(1, kLayout);
  RingEnds ends(channels[0]);
  TaskRecord record;
  for (auto _ : state) {
    ends.tasks_out.push({.sequence = Sequence(record.sequence.value() + 1)});
    ends.tasks_in.pop(record);
    benchmark::DoNotOptimize(record);
  }
  state.counters["rate"] = benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

/// The producer pushes until the consumer has popped all; both retry at once if the ring is full or empty.
void stream(benchmark::State& state) {
  const Channels channels(1, kLayout);
  RingEnds ends(channels[0]);
  const std::vector<int> cores = allowed_cores();
  const Pinned pinned(cores[0]);
  Peer consumer(PeerKind::thread, cores[1], [&ends] {
    TaskRecord record;
    for (RingStatus status = RingStatus::ok; status != RingStatus::closed; status = ends.tasks_in.pop(record))
      if (status == RingStatus::would_block) __builtin_ia32_pause();
  });
  std::uint64_t sequence = 0;
  for (auto _ : state)
    for (++sequence; ends.tasks_out.push({.sequence = Sequence(sequence)}) != RingStatus::ok;) __builtin_ia32_pause();
  state.counters["rate"] = benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  ends.tasks_out.close();
}

Figure rate() { return {{.unit = "records/s", .higher_is_better = true}, "rate"}; }

}  // namespace

void add_rings(Suite& suite) {
  suite.add("ring: push and pop on one thread", {rate()}, push_and_pop);
  suite.add_on_two_cores("ring: stream of tasks from core to core", {rate()}, stream);
}

}  // namespace tutti::bench::micro
