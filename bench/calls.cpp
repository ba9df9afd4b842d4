// The C++ rows of scripts/bench-python: a small request submitted and awaited, and a long prediction whose segments take a
// millisecond. Prints one line of JSON; the script asks for it between its own rows.
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

std::string text_of(const char* file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

/// Arguments: the description for small requests, how many; that for long predictions, images of one, how many.
int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  if (argc != 6) {
    fmt::print(stderr, "scripts/bench-python starts this program\n");
    return 2;
  }
  try {
    const double small = measured(text_of(argv[1]), 1, std::stoi(argv[2]), true);
    const double large = measured(text_of(argv[3]), std::stoul(argv[4]), std::stoi(argv[5]), false);
    fmt::print("{{\"submit\": {:.9f}, \"predict\": {:.9f}}}\n", small, large);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
