#include "bench/comparison/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <tutti/error.hpp>

#include "config/load.hpp"
#include "program/usage_error.hpp"

namespace tutti::bench {
namespace {

using program::Bounds;
using program::takes_number;

constexpr const char* kFooter =
    "Strategies: sequential-one (one thread), sequential (all cores inside an operation),\n"
    "threads (one per member), branches and fused (all members in one graph), multiprocess\n"
    "(the pool); only if named: shared and shared-fused (the pool with a worker per core),\n"
    "and shared-threads (with one worker, in which each member has a thread).\n"
    "Exit codes: 0 all measured, 1 failed, or predictions differ beyond the tolerance,\n"
    "2 wrong usage or configuration, 129, 130 and 143 interrupted.";

void add_what(CLI::App& app, CommandLine& line, std::string& strategies) {
  app.add_option("file", line.file, "the ensemble's YAML file")->required()->type_name("FILE");
  app.add_option("overrides", line.overrides, "key=value applied after the file: input.limit=1000")
      ->type_name("KEY=VALUE");
  app.add_option("--assign", line.assign, "device of a member, once per member: cnn-0=cpu:1")
      ->type_name("MEMBER=DEVICE")
      ->allow_extra_args(false);
  app.add_option("--strategies", strategies, "only these, with commas between them")->type_name("A,B");
  takes_number(app.add_option("--batches", line.batches, "try these too, and run each strategy at its own best"),
               Bounds<std::uint32_t>{.usual = 32, .least = 1, .most = config::kMaxSegmentImages})
      ->type_name("N,N")
      ->delimiter(',')
      ->allow_extra_args(false);
  takes_number(app.add_option("--repeats", line.repeats, "timed passes of each"), Bounds<int>{line.repeats, 1, 1000})
      ->capture_default_str();
  takes_number(app.add_option("--seconds", line.seconds,
                              "aim to compare in so many: fewer settings, rounds and images; 0: no bound"),
               Bounds<double>{line.seconds, 0, 86400})
      ->capture_default_str();
  app.add_flag("--train", line.training, "train too: one after another, and side by side");
  app.add_flag("--interference", line.interference, "each member's speed alone and next to the others");
  CLI::Option* const sweep =
      app.add_flag("--sweep", line.sweep, "compare over members, batch, segment, model and cores");
  takes_number(app.add_option("--sweep-seconds", line.sweep_time, "start no new point of the sweep after so many"),
               Bounds<int>{180, 1, 86400})
      ->needs(sweep)
      ->default_str("180");
}

void add_where(CLI::App& app, CommandLine& line) {
  app.add_option("--json", line.json_lines, "append each row to this file as a line of JSON")->type_name("FILE");
  app.add_option("--html", line.page, "draw a page of the rows; needs Python with matplotlib")->type_name("FILE");
  app.add_option("--trace", line.trace, "write what the pool does in a pass that is not timed, for Perfetto")
      ->type_name("FILE");
  app.add_option("--worker", line.worker, "the program tutti-worker")->type_name("FILE");
  app.add_flag_callback(
      "--no-cache", [&line] { line.cache = false; },
      "measure forms and modes that are 'auto' for every pool, and do not keep what is found");
  app.add_option("--single", line.single, "the program tutti-bench-single")->type_name("FILE");
  app.add_flag("-q,--quiet", line.quiet, "print only the tables");
  app.footer(kFooter);
}

}  // namespace

std::optional<CommandLine> parse_command_line(int argc, const char* const* argv) {
  CLI::App app("Compares ways to run an ensemble: same weights, same images, same batch.", "tutti bench");
  program::refuse_values_of_flags(app);
  CommandLine line;
  std::string strategies;
  add_what(app, line, strategies);
  add_where(app, line);
  program::refuse_values_that_are_none(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    throw program::usage_error(app, "tutti bench", {}, error);
  }
  line.contenders = parse_contenders(strategies);
  for (int i = 1; i < argc; ++i) line.text += fmt::format("{}{}", i == 1 ? "" : " ", argv[i]);
  return line;
}

}  // namespace tutti::bench
