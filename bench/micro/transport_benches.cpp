// What a transport costs: a task to one worker and its completion, and segments handed out to four workers that
// complete them at once. Compares the rings, without a pool around them, with alternatives.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "bench/micro/benches.hpp"
#include "bench/micro/peer.hpp"
#include "bench/micro/transports.hpp"
#include "coordinator/decide/accumulator.hpp"

namespace tutti::bench::micro {
namespace {

constexpr std::uint32_t kSlots = 4;
constexpr std::uint32_t kImages = 500;
constexpr std::uint32_t kWidth = 10;
constexpr std::size_t kWorkers = 4;
constexpr std::int64_t kSegments = 4000;

/// A task of one image to one worker, and its completion.
template <class Transport>
void round_trip(benchmark::State& state, PeerKind kind) {
  const std::vector<int> cores = allowed_cores();
  const Channels channels(1, ChannelLayout(kSlots, 1, {kWidth}));
  Transport transport(channels);
  const Pinned pinned(cores.front());
  const Peer worker(kind, cores[1], [&] { serve(transport, channels, 0); });
  const TaskRecord task{.images = 1};
  transport.hand_out(0, task);  // waits until the peer runs
  transport.await();
  for (auto _ : state) {
    transport.hand_out(0, task);
    benchmark::DoNotOptimize(transport.await());
  }
  transport.hand_out(0, {.images = 0});
}

/// Segments through four workers, as many in flight as there are slots, combined by the mean in rank order.
template <class Transport>
class HandOut {
 public:
  HandOut() : channels_(kWorkers, ChannelLayout(kSlots, kImages, {kWidth})), transport_(channels_) {
    for (std::size_t w = 0; w < kWorkers; ++w)
      peers_.push_back(
          std::make_unique<Peer>(PeerKind::process, std::nullopt, [this, w] { serve(transport_, channels_, w); }));
  }
  ~HandOut() { hand_out(0, 0); }

  void run(std::int64_t segments) {
    std::int64_t begun = 0;
    std::array<std::size_t, kSlots> answers{};
    for (; begun < std::min<std::int64_t>(kSlots, segments); ++begun)
      hand_out(static_cast<std::uint32_t>(begun), kImages);
    for (std::int64_t done = 0; done < segments;) {
      const std::uint32_t slot = transport_.await().slot.value();
      if (++answers[slot] < kWorkers) continue;
      answers[slot] = 0;
      combine(slot);
      ++done;
      if (begun++ < segments) hand_out(slot, kImages);
    }
  }

 private:
  void hand_out(std::uint32_t slot, std::uint32_t images) {
    for (std::size_t w = 0; w < kWorkers; ++w) transport_.hand_out(w, {.slot = SlotId(slot), .images = images});
  }

  void combine(std::uint32_t slot) {
    std::array<std::span<const float>, kWorkers> answers;
    for (std::size_t w = 0; w < kWorkers; ++w) answers[w] = channels_[w].output(SlotId(slot), kImages);
    benchmark::DoNotOptimize(accumulator_.combine(answers, kImages, kWidth));
  }

  Channels channels_;
  Transport transport_;
  Accumulator accumulator_{{}, std::vector<float>(kWorkers, 1)};
  std::vector<std::unique_ptr<Peer>> peers_;  // destroyed first: they use the rest
};

template <class Transport>
void hand_out(benchmark::State& state) {
  HandOut<Transport> segments;
  segments.run(kSlots);
  while (state.KeepRunningBatch(kSegments)) segments.run(kSegments);
}

template <class Transport>
void add_round_trips(Suite& suite, const std::string& transport, const char* unit) {
  for (const PeerKind kind : {PeerKind::thread, PeerKind::process}) {
    const std::string between(to_text(kind));
    suite.add_on_two_cores(fmt::format("round trip: {}, two {}", transport, between),
                           {{{.name = "round trip: " + transport, .conditions = {{"between", between}}, .unit = unit}}},
                           [kind](benchmark::State& state) { round_trip<Transport>(state, kind); });
  }
}

template <class Transport>
void add_hand_out(Suite& suite, const std::string& transport) {
  suite.add("4 workers, no pool: " + transport,
            {{{.conditions = {{"workers", kWorkers}, {"segment_images", kImages}, {"slots", kSlots}},
               .unit = "us",
               .note = "per segment, answers and combining included"}}},
            hand_out<Transport>, kSegments);
}

}  // namespace

void add_transports(Suite& suite) {
  add_round_trips<SpinningRings>(suite, "ring, spinning", "ns");
  add_round_trips<ParkedRings>(suite, "ring, parked", "us");
  add_round_trips<Sockets>(suite, "SEQPACKET socket", "us");
  add_round_trips<MessageQueues>(suite, "Boost message_queue", "us");
  add_hand_out<ParkedRings>(suite, "ring, parked");
  add_hand_out<Sockets>(suite, "SEQPACKET socket");
  add_hand_out<MessageQueues>(suite, "Boost message_queue");
}

}  // namespace tutti::bench::micro
