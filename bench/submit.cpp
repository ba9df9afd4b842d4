// What a call costs: one image submitted to an idle pool and awaited, compared with the least that two processes need to
// wake each other, a record there and one back between parked rings. Both alternate. One row per figure, with the aim.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/micro/peer.hpp"
#include "bench/micro/transports.hpp"
#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;
using Clock = std::chrono::steady_clock;

constexpr int kCalls = 2000;  // per sample of a row
const ImageShape kShape{3, 8, 8};

/// In microseconds.
struct Taken {
  double p50 = 0;
  double p99 = 0;
};

template <class Call>
Taken taken_by(const Call& call) {
  std::vector<double> taken;
  for (int i = 0; i < kCalls; ++i) {
    const auto begin = Clock::now();
    call();
    taken.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  std::ranges::sort(taken);
  return {taken[taken.size() / 2], taken[taken.size() * 99 / 100]};
}

/// A process on another core that answers each record at once.
class RoundTrip {
 public:
  RoundTrip()
      : cores_(micro::allowed_cores()),
        channels_(1, ChannelLayout(1, 1, {1})),
        rings_(channels_),
        peer_(micro::PeerKind::process, cores_.back(), [this] { micro::serve(rings_, channels_, 0); }) {
    go();  // waits until the peer runs
  }
  ~RoundTrip() { rings_.hand_out(0, {.images = 0}); }

  Taken taken() {
    const micro::Pinned pinned(cores_.front());
    return taken_by([this] { go(); });
  }

 private:
  void go() {
    rings_.hand_out(0, {.images = 1});
    rings_.await();
  }

  const std::vector<int> cores_;
  const micro::Channels channels_;
  micro::ParkedRings rings_;
  const micro::Peer peer_;
};

void measure(Rows& out, int repeats) {
  RoundTrip round_trip;  // before the pool: it forks
  Ensemble ensemble(parse_spec(members_yaml("{kind: fake, reads_input: false}", 1) +
                               "segment_images: 1\nbatch_images: 1\ninput: {shape: [3, 8, 8]}\n"));
  const std::vector<float> pixels(kShape.elements(), 0.5F);
  const auto submitted = [&] {
    return taken_by([&] { ensemble.submit(Images(std::span<const float>(pixels), kShape)).get(); });
  };
  submitted();  // the first ones do not count
  std::vector<double> least, p50, p99, p50_ratio, p99_ratio;
  for (int i = 0; i < repeats; ++i) {
    least.push_back(round_trip.taken().p50);
    const Taken call = submitted();
    p50.push_back(call.p50);
    p99.push_back(call.p99);
    p50_ratio.push_back(call.p50 / least.back());
    p99_ratio.push_back(call.p99 / least.back());
  }
  out.add("round trip between two processes that park: p50", least, "us", "");
  out.add("one image submitted to an idle pool: p50", p50, "us", "");
  out.add("... p99", p99, "us", "");
  out.add("... p50, by the round trip", p50_ratio, "times", "<= 2.2");
  out.add("... p99, by the round trip", p99_ratio, "times", "<= 6");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "submit", "What a call costs, compared with waking another process", measure);
}
