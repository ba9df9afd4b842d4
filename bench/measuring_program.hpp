// What the programs that print rows with aims have in common: their options, the table, and an error as one line.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "bench/rows.hpp"
#include "common/log.hpp"

namespace tutti::bench {

/// The rows of one program.
class Rows {
 public:
  Rows(Reporter& out, std::string bench) : out_(out), bench_(std::move(bench)) {}
  /// A row without a unit is a ratio of which more is better; of the others less is better.
  void add(const std::string& name, std::vector<double> samples, const std::string& unit, const std::string& aim) {
    out_.add({.bench = bench_,
              .name = name,
              .unit = unit,
              .higher_is_better = unit.empty(),
              .samples = std::move(samples),
              .aim = aim});
  }

 private:
  Reporter& out_;
  const std::string bench_;
};

/// For the program tutti-bench-<bench>. Returns the exit code. `measure` adds the rows, each with so many samples;
/// workers that die on the way are not news.
inline int measuring_program(int argc, char** argv, const std::string& bench, const std::string& title,
                             const std::function<void(Rows&, int)>& measure) {
  CLI::App app(title);
  int repeats = 7;
  std::filesystem::path json_lines;
  app.add_option("--repeats", repeats, "samples per row")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--json", json_lines, "append each row to this file as a line of JSON")->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  log::set_level(log::Level::error);
  try {
    Reporter out(certificate(repeats), json_lines);
    out.begin_table("figure");
    Rows rows(out, bench);
    measure(rows, repeats);
  } catch (const Error& error) {
    fmt::print(stderr, "tutti-bench-{}: {}\n", bench, error.what());
    return 1;
  }
  return 0;
}

}  // namespace tutti::bench
