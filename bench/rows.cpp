#include "bench/rows.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <numeric>
#include <utility>

#include <tutti/error.hpp>

#include "bench/commit.hpp"
#include "common/build_id.hpp"
#include "common/processor.hpp"
#include "common/usable_cores.hpp"

namespace tutti::bench {
namespace {

std::string cpu_model() {
  const std::string name = processor_name();
  return name.empty() ? "unknown CPU" : name;
}

std::string first_line(const char* file) {
  std::string line;
  std::ifstream in(file);
  return std::getline(in, line) ? line : "unknown";
}

/// In place; of an even number the mean of the two in the middle.
double median_of(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : std::midpoint(values[half - 1], values[half]);
}

json::object to_json(const Certificate& certificate) {
  return {{"version", certificate.version},   {"commit", certificate.commit},  {"compiler", certificate.compiler},
          {"libtorch", certificate.libtorch}, {"cpu", certificate.cpu},        {"cores", certificate.cores},
          {"governor", certificate.governor}, {"kernel", certificate.kernel},  {"repeats", certificate.repeats},
          {"date", certificate.date},         {"options", certificate.options}};
}

}  // namespace

Certificate certificate(int repeats, std::string libtorch) {
  utsname system{};
  ::uname(&system);
#if defined(__clang__)
  std::string compiler = fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  std::string compiler = fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  return {.version = fmt::format("tutti {}", build_id()),
          .commit = commit(),
          .compiler = std::move(compiler),
          .libtorch = std::move(libtorch),
          .cpu = cpu_model(),
          .cores = usable_cores(),
          .governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
          .kernel = fmt::format("Linux {}", system.release),
          .repeats = repeats,
          .date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr))),
          .options = {}};
}

std::string number_text(double value) {
  if (value == 0 || !std::isfinite(value)) return fmt::format("{}", value);
  const int digits = std::max(0, 3 - static_cast<int>(std::floor(std::log10(std::abs(value)))));
  return fmt::format("{:.{}f}", value, digits);
}

Statistics statistics(std::vector<double> samples) {
  Statistics found;
  found.median = median_of(samples);
  found.min = samples.front();
  found.max = samples.back();
  for (double& sample : samples) sample = std::abs(sample - found.median);
  found.mad = median_of(samples);
  return found;
}

json::object to_json(const Row& row, const Certificate& certificate) {
  json::object out{{"schema", "tutti.bench/1"},
                   {"certificate", to_json(certificate)},
                   {"bench", row.bench},
                   {"name", row.name},
                   {"conditions", row.conditions},
                   {"unit", row.unit},
                   {"better", row.higher_is_better ? "higher" : "lower"},
                   {"samples", json::array(row.samples.begin(), row.samples.end())}};
  if (!row.samples.empty()) {
    const Statistics found = statistics(row.samples);
    out["median"] = found.median;
    out["mad"] = found.mad;
    out["min"] = found.min;
  }
  if (!row.aim.empty()) out["aim"] = row.aim;
  if (!row.note.empty()) out["note"] = row.note;
  if (!row.skipped.empty()) out["skipped"] = row.skipped;
  return out;
}

Reporter::Reporter(Certificate certificate, const std::filesystem::path& json_lines)
    : certificate_(std::move(certificate)), json_lines_(json_lines) {
  if (!json_lines_.empty() && !std::ofstream(json_lines_, std::ios::app))
    throw Error(ErrorKind::failed, fmt::format("could not write '{}'", json_lines_.string()));
}

void Reporter::say_certificate() {
  if (std::exchange(begun_, true)) return;
  fmt::print("# {} | {}{} | {} x {} ({}) | {} | {}{} | {} repeats\n", certificate_.date, certificate_.version,
             certificate_.commit.empty() ? "" : fmt::format(" of {}", certificate_.commit), certificate_.cores,
             certificate_.cpu, certificate_.governor, certificate_.kernel, certificate_.compiler,
             certificate_.libtorch.empty() ? "" : fmt::format(", LibTorch {}", certificate_.libtorch),
             certificate_.repeats);
}

void Reporter::begin_table(const std::string& title) {
  say_certificate();
  fmt::print("\n{:<66}  {:>9}  {:>8}  {:>9}  {:<8}  {}\n", title, "median", "MAD", "minimum", "unit", "");
}

void Reporter::remark(const std::string& sentence) {
  say_certificate();
  fmt::print("{}\n", sentence);
}

void Reporter::add(const Row& row) {
  const std::string aim = row.aim.empty() ? "" : fmt::format("aim {}", row.aim);
  const std::string remark = fmt::format("{}{}{}", aim, aim.empty() || row.note.empty() ? "" : "; ", row.note);
  if (row.skipped.empty()) {
    const Statistics found = statistics(row.samples);
    fmt::print("{:<66}  {:>9}  {:>8}  {:>9}  {:<8}  {}\n", row.name, number_text(found.median), number_text(found.mad),
               number_text(found.min), row.unit, remark);
  } else {
    fmt::print("{:<66}  skipped: {}\n", row.name, row.skipped);
  }
  record(row);
}

void Reporter::record(const Row& row) {
  rows_.push_back(row);
  if (json_lines_.empty()) return;
  std::ofstream out(json_lines_, std::ios::app);
  out << json::serialize(to_json(row, certificate_)) << '\n';
  if (!out.flush()) throw Error(ErrorKind::failed, fmt::format("could not write '{}'", json_lines_.string()));
}

std::string members_yaml(const std::string& model, int members) {
  std::string yaml = "members:\n";
  for (int m = 0; m < members; ++m) yaml += fmt::format("  - {{name: m{}, model: {}}}\n", m, model);
  return yaml + "assignment: cpu\n";
}

}  // namespace tutti::bench
