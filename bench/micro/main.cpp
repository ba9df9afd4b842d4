// The program `tutti-bench-micro`: what each part of the pool costs, and what alternatives to it would cost. Google
// Benchmark measures.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include <tutti/error.hpp>

#include "bench/micro/benches.hpp"
#include "bench/micro/peer.hpp"
#include "common/standard_streams.hpp"

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  using namespace tutti::bench;
  CLI::App app("What the parts of the pool cost");
  int repeats = 7;
  std::filesystem::path json_lines;
  std::string filter = ".";
  app.add_option("--repeats", repeats, "samples per row")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--filter", filter, "only benchmarks whose name fits this regular expression")->type_name("REGEX");
  app.add_option("--json", json_lines, "append each row to this file as a line of JSON")->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  try {
    micro::Suite suite(repeats, static_cast<unsigned>(micro::allowed_cores().size()));
    micro::add_rings(suite);
    micro::add_transports(suite);
    micro::add_arena(suite);
    micro::add_combine(suite);
    micro::add_pool(suite);
    micro::add_merge(suite);
    micro::RowsReporter reporter(suite, certificate(repeats), json_lines);
    if (benchmark::RunSpecifiedBenchmarks(&reporter, filter) == 0) {
      fmt::print(stderr, "tutti-bench-micro: no benchmark's name fits '{}'\n", filter);
      return 2;
    }
    reporter.finish();
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "tutti-bench-micro: {}\n", error.what());
    return 1;
  }
  return 0;
}
