// The C++ rows of scripts/bench-python: a small request submitted and awaited, and a long prediction whose segments
// take a millisecond. Prints one line of JSON; the script asks for it between its own rows. With the argument
// `threads`: what 64 threads that submit single images get with `coalesce`, compared with one image at a time.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using Clock = std::chrono::steady_clock;

/// Seconds of each call.
template <class Call>
std::vector<double> seconds_of(int times, const Call& call) {
  std::vector<double> seconds;
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    call();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return seconds;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// The median in seconds of `times` calls with `count` images of 3x8x8, after as many that do not count.
double measured(const std::string& yaml, std::size_t count, int times, bool submitted) {
  Ensemble ensemble(parse_spec(yaml));
  const ImageShape shape{3, 8, 8};
  const std::vector<float> pixels(count * shape.elements(), 0.5F);
  const Images images(std::span<const float>(pixels), shape);
  const auto call = [&] { submitted ? ensemble.submit(images).get() : ensemble.predict(images); };
  seconds_of(times, call);
  return median(seconds_of(times, call));
}

/// Threads that submit single images of 3x8x8 and wait for each.
struct Load {
  double images_per_second = 0;
  double p50 = 0;  ///< seconds of a call
  double p99 = 0;
};

Load load_of(Ensemble& ensemble, std::size_t threads, int calls) {
  const ImageShape shape{3, 8, 8};
  const std::vector<float> pixels(shape.elements(), 0.5F);
  const auto call = [&] { ensemble.submit(Images(std::span<const float>(pixels), shape)).get(); };
  std::vector<std::vector<double>> seconds(threads);
  const auto start = Clock::now();
  std::vector<std::thread> running;
  for (std::vector<double>& own : seconds) running.emplace_back([&] { own = seconds_of(calls, call); });
  for (std::thread& thread : running) thread.join();
  const double all = std::chrono::duration<double>(Clock::now() - start).count();
  std::vector<double> each;
  for (const std::vector<double>& own : seconds) each.insert(each.end(), own.begin(), own.end());
  std::ranges::sort(each);
  const auto at = [&](double share) {
    return each[static_cast<std::size_t>(share * static_cast<double>(each.size()))];
  };
  return {static_cast<double>(each.size()) / all, at(0.5), at(0.99)};
}

/// Four members that need 100 us for a batch of at most 32. The rounds alternate, and the best of each counts.
void compare_threads() {
  constexpr int kRounds = 5;
  const std::string members = R"(
members:
  - {name: a, model: {kind: fake, delay_us: 100, reads_input: false}}
  - {name: b, model: {kind: fake, delay_us: 100, reads_input: false}}
  - {name: c, model: {kind: fake, delay_us: 100, reads_input: false}}
  - {name: d, model: {kind: fake, delay_us: 100, reads_input: false}}
assignment: cpu
input: {shape: [3, 8, 8]}
segment_images: 32
batch_images: 32
)";
  Ensemble plain(parse_spec(members));
  Ensemble coalescing(parse_spec(members + "coalesce: {max_delay_us: 200}\n"));
  Load alone;
  Load together;
  Load apart;
  const auto keep_best = [](Load& best, const Load& now) {
    if (now.images_per_second > best.images_per_second) best = now;
  };
  for (int round = 0; round < kRounds; ++round) {
    keep_best(alone, load_of(plain, 1, 1000));
    keep_best(apart, load_of(plain, 64, 100));
    keep_best(together, load_of(coalescing, 64, 1000));
  }
  const auto print = [&](const char* what, const Load& load) {
    fmt::print("{:32} {:9.0f} images/s  {:5.1f} x  p50 {:7.1f} us  p99 {:7.1f} us\n", what, load.images_per_second,
               load.images_per_second / alone.images_per_second, load.p50 * 1e6, load.p99 * 1e6);
  };
  print("one at a time", alone);
  print("64 threads", apart);
  print("64 threads, coalesced", together);
  fmt::print("coalesced: {:.1f} x one at a time, aim >= 20; p99 is {:.2f} x p50, aim < 3\n",
             together.images_per_second / alone.images_per_second, together.p99 / together.p50);
}

std::string text_of(const char* file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

/// Arguments: `threads`; or the description for small requests, how many; that for long predictions, images of one, how
/// many.
int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  if (argc != 6 && !(argc == 2 && std::string_view(argv[1]) == "threads")) {
    fmt::print(stderr, "usage: tutti-bench-calls threads; scripts/bench-python starts it with other arguments\n");
    return 2;
  }
  try {
    if (argc == 2) {
      compare_threads();
      return 0;
    }
    const double small = measured(text_of(argv[1]), 1, std::stoi(argv[2]), true);
    const double large = measured(text_of(argv[3]), std::stoul(argv[4]), std::stoi(argv[5]), false);
    fmt::print("{{\"submit\": {:.9f}, \"predict\": {:.9f}}}\n", small, large);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
