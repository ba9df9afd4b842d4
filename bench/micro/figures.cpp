#include "bench/micro/figures.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cassert>
#include <iostream>
#include <utility>

#include <tutti/error.hpp>

namespace tutti::bench::micro {
namespace {

constexpr double kSecondsPerSample = 0.2;

benchmark::TimeUnit time_unit(const std::vector<Figure>& figures) {
  for (const Figure& figure : figures) {
    if (!figure.counter.empty()) continue;
    if (figure.row.unit == "ms") return benchmark::kMillisecond;
    if (figure.row.unit == "us") return benchmark::kMicrosecond;
    assert(figure.row.unit == "ns");
    return benchmark::kNanosecond;
  }
  return benchmark::kMicrosecond;
}

}  // namespace

void Suite::add(const std::string& name, std::vector<Figure> figures, std::function<void(benchmark::State&)> run,
                std::int64_t iterations) {
  for (Figure& figure : figures) {
    figure.row.bench = "micro";
    if (figure.row.name.empty()) figure.row.name = name;
  }
  auto* const registered = benchmark::RegisterBenchmark(name.c_str(), std::move(run));
  registered->UseRealTime()->Repetitions(repeats_)->Unit(time_unit(figures));
  if (iterations > 0)
    registered->Iterations(iterations);
  else
    registered->MinTime(kSecondsPerSample);
  figures_[name] = std::move(figures);
}

void Suite::add_on_two_cores(const std::string& name, std::vector<Figure> figures,
                             std::function<void(benchmark::State&)> run, std::int64_t iterations) {
  if (cores_ >= 2) return add(name, std::move(figures), std::move(run), iterations);
  for (Figure& figure : figures) {
    figure.row.bench = "micro";
    if (figure.row.name.empty()) figure.row.name = name;
    figure.row.skipped = "one core";
    skipped_.push_back(std::move(figure.row));
  }
}

RowsReporter::RowsReporter(const Suite& suite, Certificate certificate, const std::filesystem::path& json_lines)
    : ConsoleReporter(::isatty(STDOUT_FILENO) == 1 ? OO_Defaults : OO_Tabular),
      suite_(suite),
      certificate_(std::move(certificate)),
      file_(json_lines) {
  if (file_.empty()) return;
  out_.open(file_, std::ios::app);
  if (!out_) throw Error(ErrorKind::failed, fmt::format("could not write '{}'", file_.string()));
}

bool RowsReporter::ReportContext(const Context& context) {
  for (const Row& row : suite_.skipped()) {
    std::cout << fmt::format("{}: skipped: {}\n", row.name, row.skipped);
    write(row);
  }
  return ConsoleReporter::ReportContext(context);
}

void RowsReporter::ReportRuns(const std::vector<Run>& runs) {
  ConsoleReporter::ReportRuns(runs);
  for (const Figure& figure : suite_.figures_of(runs.front().run_name.function_name)) {
    Row row = figure.row;
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      row.samples.push_back(figure.counter.empty() ? run.GetAdjustedRealTime() : run.counters.at(figure.counter).value);
    }
    if (!row.samples.empty()) write(row);
  }
}

void RowsReporter::write(const Row& row) {
  if (out_.is_open()) out_ << json::serialize(to_json(row, certificate_)) << '\n';
}

void RowsReporter::finish() {
  if (out_.is_open() && !out_.flush())
    throw Error(ErrorKind::failed, fmt::format("could not write '{}'", file_.string()));
}

}  // namespace tutti::bench::micro
