// The program `tutti`: reads the command line, runs one command, turns errors into messages and exit codes.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/log.hpp"
#include "common/nearest.hpp"
#include "common/standard_streams.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "program/commands.hpp"
#include "program/merge/merge_command.hpp"
#include "program/say.hpp"
#include "program/unknown_option.hpp"

namespace tutti::program {
namespace {

constexpr int kFailedExit = 1;
constexpr int kUsageExit = 2;
constexpr int kIncompleteExit = 3;
constexpr const char* kExitCodes =
    "Exit codes: 0 all done, 1 failed while running, 2 wrong usage or configuration,\n"
    "3 done but some member or segment is missing, 129, 130 and 143 interrupted by\n"
    "SIGHUP, SIGINT (Ctrl-C) and SIGTERM.";

struct LogOptions {
  bool verbose = false;
  std::string level = "info";
};

void add_log_options(CLI::App& command, CommandLine& line, LogOptions& logs) {
  command.add_flag("-q,--quiet", line.quiet, "print errors only");
  command.add_flag("-v,--verbose", logs.verbose, "log every step");
  command.add_option("--log-level", logs.level, "debug, info, warning, error or off")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
}

void add_common_options(CLI::App& command, CommandLine& line, LogOptions& logs) {
  command.add_option("file", line.file, "the ensemble's YAML file")->required()->type_name("FILE");
  command.add_option("overrides", line.overrides, "key=value applied after the file: members.0.weight=2")
      ->type_name("KEY=VALUE");
  command.add_option("--assign", line.assign, "device of a member, once per member: cnn-0=cpu:1")
      ->type_name("MEMBER=DEVICE")
      ->allow_extra_args(false);  // one value each time, or it would take the file that follows as a value
  add_log_options(command, line, logs);
}

void add_worker_option(CLI::App& command, CommandLine& line) {
  command.add_option("--worker", line.worker, "the program tutti-worker")->type_name("FILE");
}

void add_worker_options(CLI::App& command, CommandLine& line) {
  add_worker_option(command, line);
  command
      .add_option("--debug-worker", line.debug_worker,
                  "this member's worker waits for a debugger, and all deadlines are off")
      ->type_name("MEMBER");
}

/// Instead of a YAML file, a command may name the models themselves.
void add_model_options(CLI::App& command, CommandLine& line) {
  command.get_option("file")->description("the ensemble's YAML file; or models, *.pt *.pt2 *.onnx, with --images");
  command.add_option("--images", line.images, "of named models: a folder of pictures, or an .npy file")
      ->type_name("PATH");
  command.add_option("--preprocess", line.preprocess, "of named models: imagenet, clip or cifar10")->type_name("NAME");
  command.add_option("--rule", line.rule, "of named models: mean, vote, max ...")->type_name("RULE");
  command.add_option("--save", line.save, "write the description that named models stand for")->type_name("FILE.yaml");
}

void add_rules_option(CLI::App& command, CommandLine& line, const char* what) {
  command.add_option("--rules", line.rules, what)->type_name("RULE,...");
}

void add_evaluate_options(CLI::App& command, CommandLine& line) {
  add_rules_option(command, line, "combine by each of these rules, instead of the file's rule: mean,max,vote");
  command
      .add_option("--merged", line.merged, "weights of a merged model, evaluated next to the members; once per model")
      ->type_name("[NAME=]FILE")
      ->allow_extra_args(false);
  command.add_option("--picture", line.picture, "draw the accuracies as bars, per task")->type_name("FILE.svg");
}

void add_combine_options(CLI::App& command, CommandLine& line, LogOptions& logs) {
  command.add_option("run", line.file, "the folder of a run with save_members: true, or its YAML file")
      ->type_name("FOLDER|FILE");
  command.add_option("overrides", line.overrides, "key=value applied to the configuration: combine.accumulate=float64")
      ->type_name("KEY=VALUE");
  command
      .add_option("--predictions", line.predictions,
                  "instead of a run: arrays of predictions, one per member (float16, float32, float64), and settings "
                  "such as combine.over=values")
      ->type_name("[NAME=]FILE ...")
      ->expected(1, -1);
  command.add_option("--labels", line.labels, "the labels of these predictions: an array, or a column of a table")
      ->type_name("FILE");
  command.add_option("--ignore-index", line.ignore_index, "places of masks with this label do not count")
      ->type_name("LABEL");
  command.add_flag("--logits", line.logits,
                   "the arrays hold logits, which become probabilities before they are combined");
  add_rules_option(command, line, "combine by each of these rules, instead of the run's rule: mean,max,vote");
  command.add_option("--weights", line.weights, "one per member, in their order: 1,0.5,2")->type_name("NUMBER,...");
  command.add_option("-o,--output", line.output, "where results go; default: a new numbered folder under runs")
      ->type_name("FOLDER");
  add_log_options(command, line, logs);
}

void set_log_level(const LogOptions& options, bool quiet, bool debugging) {
  using log::Level;
  const std::map<std::string, Level> levels{{"debug", Level::debug},
                                            {"info", Level::info},
                                            {"warning", Level::warning},
                                            {"error", Level::error},
                                            {"off", Level::off}};
  // A worker that waits for a debugger logs a warning, which must be visible.
  const Level least = debugging ? Level::warning : Level::error;
  log::set_level(options.verbose ? Level::debug : quiet ? least : levels.at(options.level));
}

int explain(const Error& error, int signal) {
  log::flush();  // so that the log lines before the error are printed first
  say(stderr, fmt::format("tutti: {}\n", error.what()));
  if (error.kind() == ErrorKind::interrupted && signal != 0) return 128 + signal;
  return error.kind() == ErrorKind::usage ? kUsageExit : kFailedExit;
}

int execute(const std::function<Outcome()>& command, const std::optional<Interruption>& interruption) {
  try {
    const Outcome outcome = command();
    std::fflush(stdout);
    // A reader that exits early, such as head, is no error; a full disk is one.
    if (std::ferror(stdout) != 0 && errno != EPIPE)
      throw Error(ErrorKind::failed, "could not write to the standard output", std::strerror(errno));
    return outcome == Outcome::incomplete ? kIncompleteExit : 0;
  } catch (const Error& error) {
    return explain(error, interruption ? interruption->signal() : 0);
  } catch (const std::bad_alloc&) {
    return explain(Error(ErrorKind::failed, "out of memory"), 0);
  } catch (const std::exception& error) {
    return explain(Error(ErrorKind::failed, error.what()), 0);
  }
}

/// One line, and a hint where to look; the text of CLI11 starts with the name of an exception.
std::string explain_usage(const CLI::App* app, const CLI::Error& error) {
  std::string command = "tutti";
  const std::vector<CLI::App*> chosen = app->get_subcommands();
  for (const CLI::App* one : chosen) command += " " + one->get_name();
  const CLI::App& asked = chosen.empty() ? *app : *chosen.front();
  if (const auto unknown = unknown_option(asked, command, app->get_subcommands([](const CLI::App*) { return true; })))
    return fmt::format("tutti: {}\n", unknown->what());
  return fmt::format("tutti: {}\n  hint: see '{} --help'\n", error.what(), command);
}

/// CLI11 would only say that a subcommand is required.
void check_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return;
  const std::string near = nearest(argv[1], names);
  throw Error(ErrorKind::usage, fmt::format("there is no command '{}'", argv[1]), {},
              near.empty() ? "see 'tutti --help'" : fmt::format("did you mean '{}'?", near));
}

/// tutti-bench is a separate program, which reads the rest of the command line itself.
[[noreturn]] void become_bench(char** argv) {
  const std::filesystem::path bench =
      find_program("tutti-bench", "it is built with Tutti (target tutti_programs) and installed next to tutti-worker");
  ::execv(bench.c_str(), argv + 1);
  throw Error(ErrorKind::failed, fmt::format("could not start {}", bench.string()), std::strerror(errno));
}

/// `tutti help run` and `tutti version` are `tutti run --help` and `tutti --version`. Ends with a null, as argv does.
std::vector<char*> with_options_for_words(int argc, char** argv) {
  static char help[] = "--help";
  static char version[] = "--version";
  std::vector<char*> words(argv, argv + argc);
  if (argc >= 2 && std::string_view(argv[1]) == "version") words[1] = version;
  if (argc >= 2 && std::string_view(argv[1]) == "help") {
    words.erase(words.begin() + 1);
    words.insert(words.begin() + std::min<std::ptrdiff_t>(std::ssize(words), 2), help);
  }
  words.push_back(nullptr);
  return words;
}

int run_program(int argc, char** argv) {
  CLI::App app("Tutti runs an ensemble of models, each in its own worker process, as one.", "tutti");
  app.set_version_flag("--version", fmt::format("tutti {} (build {})", version(), build_id()));
  app.require_subcommand(1);
  app.failure_message(explain_usage);
  CommandLine line;
  LogOptions logs;
  bool dry_run = false;
  CLI::App* const run_command = app.add_subcommand("run", "predict, combine, evaluate, write a report");
  CLI::App* const evaluate_command =
      app.add_subcommand("evaluate", "measure members, base, merged model and ensemble on every task");
  CLI::App* const combine_command = app.add_subcommand(
      "combine", "combine saved predictions of members by other rules or weights, without running them");
  CLI::App* const train_command = app.add_subcommand("train", "train every member in its worker, side by side");
  CLI::App* const plan_command = app.add_subcommand("plan", "show what would run where, and what it needs");
  CLI::App* const validate_command = app.add_subcommand("validate", "check the configuration, and nothing else");
  CLI::App* const merge_command = app.add_subcommand("merge", "make one checkpoint from the members' weights");
  app.add_subcommand("bench", "compare ways to run the ensemble, same weights, same images");
  for (CLI::App* const command :
       {run_command, evaluate_command, train_command, plan_command, validate_command, merge_command})
    add_common_options(*command, line, logs);
  for (CLI::App* const command : {run_command, evaluate_command, train_command, plan_command})
    add_worker_options(*command, line);
  add_worker_option(*merge_command, line);
  for (CLI::App* const command : {run_command, plan_command, validate_command}) add_model_options(*command, line);
  for (CLI::App* const command : {run_command, evaluate_command, train_command})
    command
        ->add_option("--trace", line.trace,
                     "write a timeline of workers and coordinator, for ui.perfetto.dev or chrome://tracing")
        ->type_name("FILE");
  plan_command->add_flag("--measure", line.measure,
                         "also start every member once, predict some images, and measure the memory");
  CLI::Option* const dry = run_command->add_flag("--dry-run", dry_run, "print the plan instead");
  for (CLI::App* const described : {&app, run_command, evaluate_command, combine_command, train_command, merge_command})
    described->footer(kExitCodes);
  run_command->add_flag("--resume", line.resume, "continue the unfinished run in the run folder")->excludes(dry);
  run_command->get_option("--trace")->excludes(dry);
  add_rules_option(*run_command, line, "evaluate these rules too, in the same pass, and how much the members disagree");
  add_evaluate_options(*evaluate_command, line);
  add_combine_options(*combine_command, line, logs);
  try {
    check_command(app, argc, argv);
    if (argc >= 2 && std::string_view(argv[1]) == "bench") become_bench(argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageExit;
  } catch (const Error& error) {
    return explain(error, 0);
  }
  set_log_level(logs, line.quiet, !line.debug_worker.empty());
  std::optional<Interruption> interruption;
  return execute(
      [&] {
        interruption.emplace();
        if (*run_command && !dry_run) return run(line, *interruption);
        if (*combine_command) return combine(line, *interruption);
        if (*evaluate_command) return evaluate(line, *interruption);
        if (*train_command) return train(line, *interruption);
        if (*merge_command) return merge(line, *interruption);
        if (*validate_command)
          validate(line);
        else
          plan(line, *interruption);
        return Outcome::complete;
      },
      interruption);
}

}  // namespace
}  // namespace tutti::program

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  // If a reader closes the pipe, or a file reaches its size limit, the write fails with an error instead of ending the
  // program silently.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  // In a container without /sys, hwloc falls back to what the kernel reports; it need not warn about that on stderr.
  ::setenv("HWLOC_HIDE_ERRORS", "2", 0);
  std::vector<char*> words = tutti::program::with_options_for_words(argc, argv);
  return tutti::program::run_program(static_cast<int>(words.size()) - 1, words.data());
}
