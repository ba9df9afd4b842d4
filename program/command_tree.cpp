#include "program/command_tree.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "common/build_id.hpp"
#include "config/shorthand.hpp"
#include "program/completion.hpp"
#include "program/quick_start.hpp"
#include "program/usage_error.hpp"

namespace tutti::program {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 all done, 1 failed while running, 2 wrong usage or configuration,\n"
    "3 done but some member or segment is missing, 129, 130 and 143 interrupted by\n"
    "SIGHUP, SIGINT (Ctrl-C) and SIGTERM.";

void add_log_options(CLI::App& command, CommandLine& line, LogOptions& logs) {
  command.add_flag("-q,--quiet", line.quiet, "print errors only");
  command.add_flag("-v,--verbose", logs.verbose, "log every step");
  takes_word(command.add_option("--log-level", logs.level, "what is logged, and what is worse"),
             {"debug", "info", "warning", "error", "off"})
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

void add_words_of_models(CLI::App& command, CommandLine& line) {
  // Not checked here: check_words() says more about a word that does not exist.
  command.add_option("--preprocess", line.preprocess, "of named models: how they want their images")
      ->type_name(fmt::format("{}", fmt::join(config::preset_names(), "|")));
  command.add_option("--rule", line.rule, "of named models: how their predictions become one")
      ->type_name(fmt::format("{}", fmt::join(rule_names(), "|")));
}

/// Instead of a YAML file, a command may name the models themselves.
void add_model_options(CLI::App& command, CommandLine& line) {
  command.get_option("file")->description(
      "the ensemble's YAML file; or models, *.pt *.pt2 *.onnx *.xml *.tflite *.pb, with --images");
  command.add_option("--images", line.images, "of named models: a folder of pictures, or an .npy file")
      ->type_name("PATH");
  add_words_of_models(command, line);
  command.add_option("--save", line.save, "write the description that named models stand for")->type_name("FILE.yaml");
}

void add_init_options(CLI::App& command, CommandLine& line, LogOptions& logs) {
  command.add_option("places", line.places, "folders or files of models, and a folder of pictures or an .npy file")
      ->required()
      ->type_name("PATH");
  command.add_option("-o,--output", line.save, "the file to write; default: ensemble.yaml")->type_name("FILE.yaml");
  command.add_flag("--force", line.force, "replace the file if it exists");
  command.add_flag_callback(
      "--no-start", [&line] { line.start = false; }, "do not start the models to see what they output");
  add_words_of_models(command, line);
  add_worker_option(command, line);
  add_log_options(command, line, logs);
}

void add_rules_option(CLI::App& command, CommandLine& line, const char* what) {
  command.add_option("--rules", line.rules, what)->type_name("RULE,...");
}

void add_csv_option(CLI::App& command, CommandLine& line) {
  command
      .add_option("--csv", line.csv,
                  "columns of predictions.csv, such as id,label or image=id,breed=label or id,classes")
      ->type_name("[HEADER=]COLUMN,...");
}

void add_evaluate_options(CLI::App& command, CommandLine& line) {
  add_rules_option(command, line, "combine by each of these rules, instead of the file's rule: mean,max,vote");
  command
      .add_option("--merged", line.merged, "weights of a merged model, evaluated next to the members; once per model")
      ->type_name("[NAME=]FILE")
      ->allow_extra_args(false);
  command.add_option("--picture", line.picture, "draw the accuracies as bars, per task")->type_name("FILE.svg");
  command.add_flag("--cascade-sweep", line.cascade_sweep,
                   "show what other thresholds of the cascade would save and cost (--picture draws it)");
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
  takes_number(command.add_option("--ignore-index", line.ignore_index, "places of masks with this label do not count"),
               Bounds<std::int64_t>{.usual = 255})
      ->type_name("LABEL");
  command.add_flag("--logits", line.logits,
                   "the arrays hold logits, which become probabilities before they are combined");
  add_rules_option(command, line, "combine by each of these rules, instead of the run's rule: mean,max,vote");
  command.add_option("--weights", line.weights, "one per member, in their order: 1,0.5,2")->type_name("NUMBER,...");
  command.add_option("-o,--output", line.output, "where results go; default: a new numbered folder under runs")
      ->type_name("FOLDER");
  add_log_options(command, line, logs);
}

}  // namespace

CommandTree::CommandTree() {
  refuse_values_of_flags(app);
  app.set_version_flag("--version", fmt::format("tutti {} (build {})", version(), build_id()));
  app.require_subcommand(1);
  add_commands();
  add_options();
}

void CommandTree::add_commands() {
  run = app.add_subcommand("run", "predict, combine, evaluate, write a report");
  evaluate = app.add_subcommand("evaluate", "measure members, base, merged model and ensemble on every task");
  combine = app.add_subcommand("combine",
                               "combine saved predictions of members by other rules or weights, without running them");
  train = app.add_subcommand("train", "train every member in its worker, side by side");
  plan = app.add_subcommand("plan", "show what would run where, and what it needs");
  validate = app.add_subcommand("validate", "check the configuration, and nothing else");
  merge = app.add_subcommand("merge", "make one checkpoint from the members' weights");
  init = app.add_subcommand("init", "write a YAML file for the models and images that are found in folders");
  schema = app.add_subcommand("schema", "print a JSON Schema of the YAML file, for editors");
  completion = app.add_subcommand("completion", "print a script with which a shell completes the command line");
  app.add_subcommand("bench", "compare ways to run the ensemble, same weights, same images");
}

void CommandTree::add_options() {
  for (CLI::App* const command : {run, evaluate, train, plan, validate, merge})
    add_common_options(*command, line, logs);
  for (CLI::App* const command : {run, evaluate, train, plan}) add_worker_options(*command, line);
  add_worker_option(*merge, line);
  for (CLI::App* const command : {run, plan, validate}) add_model_options(*command, line);
  for (CLI::App* const command : {run, evaluate, plan})
    command->add_flag_callback(
        "--no-cache", [this] { line.cache = false; },
        "measure forms and modes that are 'auto' again, and do not keep what is found");
  for (CLI::App* const command : {run, evaluate, train})
    command
        ->add_option("--trace", line.trace,
                     "write a timeline of workers and coordinator, for ui.perfetto.dev or chrome://tracing")
        ->type_name("FILE");
  plan->get_option("--save")->description(
      "write the description that named models stand for, or with --measure the one with the forms that were chosen");
  CLI::Option* const measure = plan->add_flag(
      "--measure", line.measure, "also start every member once, predict some images, and measure the memory");
  plan->add_flag("--dot", line.dot, "print who computes what as a graph for Graphviz instead: ... | dot -Tsvg")
      ->excludes(measure);
  CLI::Option* const dry = run->add_flag("--dry-run", dry_run, "print the plan instead");
  for (CLI::App* const described : {&app, run, evaluate, combine, train, merge}) described->footer(kExitCodes);
  run->add_flag("--resume", line.resume, "continue the unfinished run in the run folder")->excludes(dry);
  run->get_option("--trace")->excludes(dry);
  add_rules_option(*run, line, "evaluate these rules too, in the same pass, and how much the members disagree");
  add_csv_option(*run, line);
  add_csv_option(*evaluate, line);
  add_csv_option(*combine, line);
  add_evaluate_options(*evaluate, line);
  add_combine_options(*combine, line, logs);
  add_init_options(*init, line, logs);
  takes_word(completion->add_option("shell", shell, "bash, zsh or fish")->required(),
             {std::begin(kShells), std::end(kShells)});
  for (CLI::App* const command : app.get_subcommands({})) refuse_values_that_are_none(*command);
}

}  // namespace tutti::program
