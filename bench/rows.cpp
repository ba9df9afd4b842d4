#include "bench/rows.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "common/build_id.hpp"

namespace tutti::bench {

void print_certificate(int repeats) {
  utsname system{};
  ::uname(&system);
  std::string cpu = "unknown CPU";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) cpu = line.substr(line.find(':') + 2);
  fmt::print("# tutti {} | {} x {} | Linux {} | g++/clang {} | {} repeats\n", build_id(),
             std::thread::hardware_concurrency(), cpu, system.release, __VERSION__, repeats);
}

void print_header() {
  fmt::print("{:<66}  {:>9}  {:>9}  {:>9}  {:<6}  {}\n", "figure", "median", "min", "max", "unit", "aim");
}

void print_row(const std::string& name, std::vector<double> samples, const std::string& unit, const std::string& aim) {
  std::sort(samples.begin(), samples.end());
  fmt::print("{:<66}  {:>9.2f}  {:>9.2f}  {:>9.2f}  {:<6}  {}\n", name, samples[samples.size() / 2], samples.front(),
             samples.back(), unit, aim);
}

std::string members_yaml(const std::string& model, int members) {
  std::string yaml = "members:\n";
  for (int m = 0; m < members; ++m) yaml += fmt::format("  - {{name: m{}, model: {}}}\n", m, model);
  return yaml + "assignment: cpu\n";
}

}  // namespace tutti::bench
