// The rows of the micro-benchmarks: Google Benchmark chooses how often a piece of code runs, repeats it and prints the
// times; here each repetition becomes a sample of the rows that all measuring programs share.
#pragma once

#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bench/rows.hpp"

namespace tutti::bench::micro {

/// One row that a benchmark gives.
struct Figure {
  Row row;                  ///< without samples
  std::string counter = {}; /**< the counter of the benchmark that holds it; empty: the time per iteration, in the row's
                                 unit, "ns", "us" or "ms" */
};

/// Registers benchmarks with Google Benchmark and remembers their rows. One thread.
class Suite {
 public:
  Suite(int repeats, unsigned cores) : repeats_(repeats), cores_(cores) {}

  /// Registers `run` as the benchmark `name`, which also names every row without a name. `iterations` 0: Google
  /// Benchmark chooses.
  void add(const std::string& name, std::vector<Figure> figures, std::function<void(benchmark::State&)> run,
           std::int64_t iterations = 0);
  /// The same for a benchmark that needs two cores; with fewer, its rows are skipped.
  void add_on_two_cores(const std::string& name, std::vector<Figure> figures,
                        std::function<void(benchmark::State&)> run, std::int64_t iterations = 0);

  const std::vector<Figure>& figures_of(const std::string& name) const { return figures_.at(name); }
  const std::vector<Row>& skipped() const noexcept { return skipped_; }

 private:
  int repeats_;
  unsigned cores_;
  std::map<std::string, std::vector<Figure>> figures_;  ///< by benchmark
  std::vector<Row> skipped_;
};

/// Google Benchmark's console, and each row as a line of JSON.
class RowsReporter final : public benchmark::ConsoleReporter {
 public:
  /// `json_lines` may be empty: no file. Throws Error(failed) if it cannot be written.
  RowsReporter(const Suite& suite, Certificate certificate, const std::filesystem::path& json_lines);

  bool ReportContext(const Context& context) override;
  /// All repetitions of one benchmark.
  void ReportRuns(const std::vector<Run>& runs) override;
  /// Throws Error(failed) if the file could not be written to its end.
  void finish();

 private:
  void write(const Row& row);

  const Suite& suite_;
  Certificate certificate_;
  std::filesystem::path file_;
  std::ofstream out_;
};

}  // namespace tutti::bench::micro
