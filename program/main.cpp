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

#include "common/log.hpp"
#include "common/nearest.hpp"
#include "common/standard_streams.hpp"
#include "config/schema.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "program/command_tree.hpp"
#include "program/commands.hpp"
#include "program/completion.hpp"
#include "program/init/init_command.hpp"
#include "program/merge/merge_command.hpp"
#include "program/say.hpp"
#include "program/usage_error.hpp"

namespace tutti::program {
namespace {

constexpr int kFailedExit = 1;
constexpr int kUsageExit = 2;
constexpr int kIncompleteExit = 3;

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
  const auto others = app->get_subcommands([](const CLI::App*) { return true; });
  return fmt::format("tutti: {}\n", usage_error(asked, command, others, error).what());
}

/// CLI11 would take it for a word too many.
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

/// Runs the command that the words chose.
Outcome perform(CommandTree& tree, Interruption& interruption) {
  CommandLine& line = tree.line;
  if (*tree.run && !tree.dry_run) return run(line, interruption);
  if (*tree.combine) return combine(line, interruption);
  if (*tree.evaluate) return evaluate(line, interruption);
  if (*tree.train) return train(line, interruption);
  if (*tree.merge) return merge(line, interruption);
  if (*tree.validate)
    validate(line);
  else if (*tree.init)
    init(line, interruption);
  else if (*tree.schema)
    say(stdout, config::schema_text());
  else if (*tree.completion)
    say(stdout, completion_script(tree.app, tree.shell));
  else
    plan(line, interruption);
  return Outcome::complete;
}

int run_program(int argc, char** argv) {
  CommandTree tree;
  tree.app.failure_message(explain_usage);
  try {
    check_command(tree.app, argc, argv);
    if (argc >= 2 && std::string_view(argv[1]) == "bench") become_bench(argv);
    tree.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return tree.app.exit(error) == 0 ? 0 : kUsageExit;
  } catch (const Error& error) {
    return explain(error, 0);
  }
  set_log_level(tree.logs, tree.line.quiet, !tree.line.debug_worker.empty());
  std::optional<Interruption> interruption;
  return execute([&] { return perform(tree, interruption.emplace()); }, interruption);
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
