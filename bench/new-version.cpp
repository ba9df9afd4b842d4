// What a caller waits while a member gets a new version: calls of one segment, one after the other, and the slowest of
// them while the member is replaced. One row per figure, with the aim.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/rows.hpp"
#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;
using Clock = std::chrono::steady_clock;

constexpr ImageShape kShape{3, 32, 32};
constexpr std::size_t kSegment = 32;

/// Two members, which sleep instead of computing, so that the new version is loaded on cores that are free.
Spec spec_with(int seed) {
  return parse_spec(members_yaml("{kind: fake, delay_ms: 5}", 2) +
                    fmt::format("segment_images: {}\nbatch_images: {}\ninput: {{shape: [3, 32, 32]}}\n", kSegment,
                                kSegment),
                    {fmt::format("members.0.seed={}", seed)});
}

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Predicts a segment again and again on a thread of its own, and keeps how long each call took.
class Caller {
 public:
  explicit Caller(Ensemble& ensemble) : thread_([this, &ensemble] { run(ensemble); }) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  ~Caller() { stop(); }
  std::vector<double> stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
    return milliseconds_;
  }

 private:
  void run(Ensemble& ensemble) {
    const std::vector<float> pixels(kSegment * kShape.elements(), 0.5F);
    while (!stopped_) {
      const auto begin = Clock::now();
      ensemble.predict({std::span<const float>(pixels), kShape});
      milliseconds_.push_back(milliseconds_since(begin));
    }
  }

  std::vector<double> milliseconds_;  // of the thread until it has ended
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

void measure(Rows& out, int repeats) {
  Ensemble ensemble(spec_with(1));
  std::vector<double> usual;
  std::vector<double> beyond;
  std::vector<double> replacing;
  for (int i = 0; i < repeats; ++i) {
    Caller quiet(ensemble);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::vector<double> calls = quiet.stop();
    std::ranges::sort(calls);
    usual.push_back(calls[calls.size() / 2]);
    Caller busy(ensemble);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const auto begin = Clock::now();
    ensemble.replace_member("m0", spec_with(2 + i));
    replacing.push_back(milliseconds_since(begin));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    beyond.push_back(std::ranges::max(busy.stop()) - usual.back());
  }
  out.add("two fake members of 5 ms per segment: a call of one segment", usual, "ms", "");
  out.add("... replace_member() under load", replacing, "ms", "");
  out.add("... the slowest call meanwhile, beyond the usual one", beyond, "ms", "<= 15");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "new-version", "What a caller waits while a member is replaced", measure);
}
