// The program tutti-bench-writing: for every line on its standard input it writes the predictions of masks into a
// folder, as a run does, and replies with the seconds until they are on the disk. scripts/bench-masks runs it
// interleaved with `dd conv=fdatasync`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <tutti/error.hpp>

#include "common/standard_streams.hpp"
#include "results/sinks.hpp"

namespace {

using namespace tutti;

struct Setting {
  std::filesystem::path folder;
  std::uint32_t images = 200;
  std::uint32_t segment = 1;
  std::uint32_t classes = 21;
  std::uint32_t side = 512;
};

double seconds_of_one_pass(const Setting& setting, const std::vector<float>& values,
                           const std::vector<std::int64_t>& decided) {
  const auto begin = std::chrono::steady_clock::now();
  const images::ResultForm form{
      setting.images, Dims{setting.classes, setting.side, setting.side}, Dims{setting.side, setting.side}, {}};
  images::NpySink sink(setting.folder, form, nullptr, Unfinished::stays);
  SegmentResult result;
  result.width = static_cast<std::uint32_t>(elements_of(*form.shape));
  for (; result.first < setting.images; result.first += result.count) {
    result.count = std::min(setting.segment, setting.images - static_cast<std::uint32_t>(result.first));
    result.values = std::span(values).first(std::size_t{result.count} * result.width);
    result.predicted = std::span(decided).first(std::size_t{result.count} * setting.side * setting.side);
    sink.write(result);
  }
  sink.finish();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int answer(const Setting& setting) {
  const std::size_t places = std::size_t{setting.segment} * setting.side * setting.side;
  std::vector<float> values(places * setting.classes);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1021) / 1021;
  std::vector<std::int64_t> decided(places);
  for (std::size_t i = 0; i < places; ++i) decided[i] = static_cast<std::int64_t>(i % setting.classes);
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{:.6f}\n", seconds_of_one_pass(setting, values, decided));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  CLI::App app("Writes predictions of masks for every line on the standard input, and prints how long it took.");
  Setting setting;
  app.add_option("folder", setting.folder)->required();
  app.add_option("--images", setting.images)->capture_default_str();
  app.add_option("--segment", setting.segment, "images that are written at once")->capture_default_str();
  app.add_option("--classes", setting.classes)->capture_default_str();
  app.add_option("--side", setting.side, "of the masks")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return answer(setting);
  } catch (const std::exception& error) {
    fmt::print(stderr, "tutti-bench-writing: {}\n", error.what());
    return 1;
  }
}
