// The program tutti-bench-folder: for every line on its standard input it reads a whole folder of images, as `dataset:
// folder` does, and replies with the seconds that it took. scripts/bench-folder runs it interleaved with the program
// that it is compared with.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include <tutti/error.hpp>

#include "common/standard_streams.hpp"
#include "images/sources.hpp"

namespace {

using namespace tutti;

constexpr std::uint64_t kSegment = 64;

double seconds_of_one_pass(Source& source, std::vector<std::uint8_t>& pixels, std::vector<std::uint64_t>& indices) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t first = 0; first < source.count(); first += kSegment) {
    indices.resize(std::min(kSegment, source.count() - first));
    std::iota(indices.begin(), indices.end(), first);
    source.read_bytes(indices, std::span(pixels).first(indices.size() * source.shape().elements()), {});
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int answer(const std::string& folder, std::uint32_t side, const images::FolderReading& reading) {
  const Resize resize{ResizeRule::shorter, side, side, side, side, Interpolation::bicubic};
  const auto source = images::make_folder(folder, resize, reading);
  std::vector<std::uint8_t> pixels(kSegment * source->shape().elements());
  std::vector<std::uint64_t> indices;
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{:.6f}\n", seconds_of_one_pass(*source, pixels, indices));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  CLI::App app("Reads a folder of images for every line on the standard input, and prints how long it took.");
  std::string folder;
  std::uint32_t side = 224;
  images::FolderReading reading;
  app.add_option("folder", folder)->required();
  app.add_option("--side", side, "of the images")->capture_default_str();
  app.add_flag("--jpeg-scaling", reading.decoding.jpeg_scaling, "decode large JPEGs at a part of their size");
  app.add_option("--threads", reading.decoding.threads, "that decode; 0: as many as usable cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return answer(folder, side, reading);
  } catch (const Error& error) {
    fmt::print(stderr, "tutti-bench-folder: {}\n", error.what());
    return 1;
  }
}
