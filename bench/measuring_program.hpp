// What the programs that print rows with aims have in common: their options, the table, and an error as one line.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>

#include <tutti/error.hpp>

#include "bench/rows.hpp"
#include "common/log.hpp"

namespace tutti::bench {

/// Returns the exit code. `measure` adds the rows, each with so many samples; workers that die on the way are not news.
inline int measuring_program(int argc, char** argv, const std::string& name, const std::string& title,
                             const std::function<void(Reporter&, int)>& measure) {
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
    measure(out, repeats);
  } catch (const Error& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return 1;
  }
  return 0;
}

}  // namespace tutti::bench
