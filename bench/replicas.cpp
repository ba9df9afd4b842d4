// What replicas are worth: two of them against two separate workers that run side by side, one fast and one slow
// against a split in proportion to their speeds, and what the death of one costs. One row per figure, with the aim. It
// needs two cores, and loads the second one on purpose.
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/pool_load.hpp"
#include "bench/rows.hpp"
#include "common/standard_streams.hpp"
#include "common/unique_fd.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;
using Clock = std::chrono::steady_clock;

constexpr ImageShape kShape{3, 32, 32};
constexpr std::size_t kSegment = 100;

/// A small-cnn with workers on these cores: "{cpu:0: 1}".
Spec spec_on(const std::string& replicas) {
  return parse_spec(members_yaml("{kind: small-cnn}", 1) +
                    fmt::format("workers: [{{members: [m0], replicas: {}}}]\n", replicas) +
                    fmt::format("threads: 1\nsegment_images: {}\nbatch_images: 20\nslots: 12\n", kSegment) +
                    "restarts: {limit: off, back_off_s: 0.001}\ninput: {shape: [3, 32, 32]}\n");
}

std::vector<float> pixels_of(std::size_t images) { return std::vector<float>(images * kShape.elements(), 0.5F); }

Images view(const std::vector<float>& pixels) { return {std::span<const float>(pixels), kShape}; }

/// Keeps one core busy with so many threads.
class Load {
 public:
  Load(int core, int threads) {
    for (int t = 0; t < threads; ++t)
      threads_.emplace_back([this, core] {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<unsigned>(core), &set);
        ::sched_setaffinity(0, sizeof set, &set);
        while (!ending_.load(std::memory_order_relaxed)) {
        }
      });
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    ending_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> ending_ = false;
  std::vector<std::thread> threads_;
};

/// Two replicas over all images, and two separate workers with half of them each, in pairs.
void measure_two(Rows& out, int repeats) {
  Ensemble both(spec_on("{cpu:0: 1, cpu:1: 1}"));
  Ensemble first(spec_on("{cpu:0: 1}"));
  Ensemble second(spec_on("{cpu:1: 1}"));
  const auto all = pixels_of(8000);
  const auto half = pixels_of(4000);
  const auto side_by_side = [&] { return seconds_side_by_side(first, second, view(half)); };
  seconds_for(both, view(all));
  side_by_side();
  std::vector<double> together;
  std::vector<double> apart;
  std::vector<double> ratio;
  for (int i = 0; i < repeats; ++i) {
    together.push_back(seconds_for(both, view(all)));
    apart.push_back(side_by_side());
    ratio.push_back(apart.back() / together.back());
  }
  out.add("small-cnn, 8000 images: two workers side by side", apart, "s", "");
  out.add("... two replicas", together, "s", "");
  out.add("... speed of the replicas, of that of the workers", ratio, "", ">= 0.97");
}

/// The core of one replica is shared with four busy threads, so that it gets about a fifth of it.
void measure_slow(Rows& out, int repeats) {
  Ensemble both(spec_on("{cpu:0: 1, cpu:1: 1}"));
  Ensemble fast(spec_on("{cpu:0: 1}"));
  Ensemble slow(spec_on("{cpu:1: 1}"));
  const auto all = pixels_of(8000);
  const auto few = pixels_of(1000);
  const Load load(1, 4);
  seconds_for(both, view(all));
  std::vector<double> costs;
  std::vector<double> factor;
  std::vector<double> taken;
  for (int i = 0; i < repeats; ++i) {
    const double fast_seconds = seconds_for(fast, view(all));
    const double slow_seconds = seconds_for(slow, view(few)) * 8;
    const std::uint64_t before = both.status().faults.taken_over;
    const double both_seconds = seconds_for(both, view(all));
    taken.push_back(static_cast<double>(both.status().faults.taken_over - before));
    const double ideal = 1 / (1 / fast_seconds + 1 / slow_seconds);
    factor.push_back(slow_seconds / fast_seconds);
    costs.push_back((both_seconds / ideal - 1) * 100);
  }
  out.add("a slow replica: how much slower it is", factor, "times", "");
  out.add("... more than the split in proportion to speed", costs, "%", "<= 15");
  out.add("... of 80 segments taken over", taken, "segments", "");
}

/// Kills a replica while it computes: until its segments are at its sister, and what that costs the whole run.
void measure_death(Rows& out, int repeats) {
  Ensemble ensemble(spec_on("{cpu:0: 1, cpu:1: 1}"));
  const auto all = pixels_of(8000);
  seconds_for(ensemble, view(all));
  std::vector<double> until;
  std::vector<double> reported;
  std::vector<double> costs;
  for (int i = 0; i < repeats; ++i) {
    const double calm = seconds_for(ensemble, view(all));
    const auto begin = Clock::now();
    const Status before = ensemble.status();
    auto answer = ensemble.submit(view(all));
    while (ensemble.status().members[0].segments_answered < before.members[0].segments_answered + 20)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const int pid = ensemble.status().members[0].replicas[1].pid;
    if (pid == 0) throw Error(ErrorKind::failed, "a replica died before it was killed");
    const UniqueFd end(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd ended{end.get(), POLLIN, 0};
    const auto killed = Clock::now();
    ::kill(pid, SIGKILL);
    if (::poll(&ended, 1, -1) != 1) throw Error(ErrorKind::failed, "the end of a replica could not be waited for");
    const auto known = Clock::now();
    while (ensemble.status().faults.deaths == before.faults.deaths)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    until.push_back(seconds_since(killed) * 1e3);
    reported.push_back(seconds_since(known) * 1e3);
    answer.get();
    costs.push_back((seconds_since(begin) - calm) * 1e3);
    while (ensemble.status().members[0].replicas[1].state != WorkerState::running)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  out.add("kill -9 of a replica until its segments are at the other", until, "ms", "");
  out.add("... from the kernel's report of its end", reported, "ms", "<= 1");
  out.add("... costs the run", costs, "ms", "");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "replicas", "What replicas are worth", [](Rows& out, int repeats) {
    measure_two(out, repeats);
    measure_slow(out, repeats);
    measure_death(out, repeats);
  });
}
