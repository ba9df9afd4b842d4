#include "program/commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/folder_obstacle.hpp"
#include "common/tensor_text.hpp"
#include "common/unsigned_nan.hpp"
#include "config/effective.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/memory_bounds.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/plan/saved.hpp"
#include "coordinator/plan/segments.hpp"
#include "evaluation/hosted_models.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/run/run_report.hpp"
#include "program/measured_memory.hpp"
#include "program/plan_text.hpp"
#include "program/quick_start.hpp"
#include "program/reporting.hpp"
#include "program/say.hpp"
#include "program/session.hpp"

namespace tutti::program {
namespace {

void train_members(Session& session, bool quiet) {
  const std::vector<config::MemberSpec>& members = session.spec().members;
  const auto begin = std::chrono::steady_clock::now();
  std::uint32_t epochs = 0;
  for (const config::MemberSpec& member : members) epochs = std::max(epochs, member.train.epochs);
  bool trained_all = false;  // from then on, weights are written
  const auto on_epoch = [&](const EpochResult& epoch) {
    add_epoch(session.report(), epoch);
    trained_all = trained_all || epoch.epoch == epochs;
    if (quiet) return;
    const config::MemberSpec& member = members[epoch.member];
    say(stdout,
        fmt::format("{:<12}  epoch {}/{}  loss {:.4f}  accuracy {:6.2f} %  {:.2f} s\n", member.name, epoch.epoch,
                    member.train.epochs, unsigned_nan(epoch.loss), epoch.accuracy * 100, epoch.seconds));
  };
  TrainResult trained;
  try {
    trained = session.ensemble().train(session.source(), session.folder(), on_epoch);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted || trained_all) throw;
    throw Error(error.kind(), error.message(), "no weights were written", error.hint());
  }
  session.report().phases.train = seconds_since(begin);
  session.report().members.resize(members.size());
  for (std::size_t rank = 0; rank < trained.weights.size(); ++rank)
    if (!trained.weights[rank].empty()) session.report().members[rank].weights = trained.weights[rank].string();
}

/// Members that can be trained, and places for their weights: all that is wrong, before a worker is started.
void check_training(const config::EnsembleSpec& spec) {
  std::vector<std::string> untrained;
  for (const config::MemberSpec& member : spec.members)
    if (!facts_of(member.model.kind).trainable)
      untrained.push_back(fmt::format("{} ({})", member.name, kind_name(member.model.kind)));
  if (!untrained.empty())
    throw Error(ErrorKind::usage, fmt::format("{} cannot be trained", counted(untrained.size(), "member")),
                fmt::format("{}", fmt::join(untrained, ", ")),
                "train members of kind small-cnn or mlp, in a description without the others");
  for (const config::MemberSpec& member : spec.members) {
    const std::filesystem::path& weights = member.model.weights;
    if (weights.empty()) continue;
    std::error_code hidden;
    // With the dot, a file in the place of the folder is named.
    const std::string obstacle = std::filesystem::is_directory(weights, hidden)
                                     ? "it is a folder"
                                     : folder_obstacle(weights.parent_path() / ".");
    if (!obstacle.empty())
      throw Error(ErrorKind::usage, fmt::format("{}: cannot write the weights to {}", member.name, weights.string()),
                  obstacle, "correct 'weights' of this member");
  }
}

/// The message of an error and what to do about it, on one line.
std::string first_lines(const Error& error) {
  return fmt::format("{}{}", error.message(), error.hint().empty() ? "" : fmt::format(" ({})", error.hint()));
}

/// Every file of the models that is named and does not exist, and every head.
std::vector<Error> missing_models(const config::EnsembleSpec& spec) {
  std::vector<Error> missing = missing_files(spec, false);
  for (const config::TaskSpec& task : spec.tasks)
    if (std::error_code code; !task.head.empty() && !std::filesystem::exists(task.head, code))
      missing.emplace_back(ErrorKind::usage,
                           fmt::format("task '{}': there is no head '{}'", task.name, task.head.string()));
  return missing;
}

void say_missing(const Error& error) { say(stdout, fmt::format("missing  {}\n", first_lines(error))); }

/// The form of the images. Says about them what `tutti run` would say, for example that files are left out.
InputForm look_at_images(const config::EnsembleSpec& spec) {
  if (spec.input.dataset == config::Dataset::memory) return input_form(spec, spec.input);
  const std::unique_ptr<Source> source = open_source(spec, spec.input);
  say_skipped(*source);
  InputForm form = form_of(*source, spec, spec.input);
  form.held_score_bytes = held_score_bytes(spec.combine, *source, scored_rows(spec, {}));
  return form;
}

/// The same, after a list of missing files. Without images nothing more can be planned, so their error ends the list.
InputForm look_at_images(const config::EnsembleSpec& spec, const std::vector<Error>& missing) {
  try {
    return look_at_images(spec);
  } catch (const Error& error) {
    if (!missing.empty()) say_missing(error);
    throw;
  }
}

/// The description with the forms that were chosen. What was measured has the same members and workers, in other keys
/// what follows from the images or from the tasks, and with tasks the base as its next member (host_models()).
std::string with_forms(config::EnsembleSpec described, const config::EnsembleSpec& chosen) {
  const std::size_t count = described.members.size();
  for (std::size_t rank = 0; rank < count; ++rank) described.members[rank].model = chosen.members[rank].model;
  for (std::size_t number = 0; number < described.workers.size(); ++number)
    described.workers[number] = chosen.workers[number];
  if (described.base && chosen.members.size() > count) described.base = chosen.members[count].model;
  return config::to_yaml(described);
}

/// Starts every member once, in the form that is chosen for it. Returns the description with these forms.
config::EnsembleSpec measure(const config::EnsembleSpec& spec, Options options, Interruption& interruption) {
  const Spec chosen = choose_models(Spec(std::make_shared<const config::EnsembleSpec>(spec)), options);
  const MeasuredMemory memory = measure_memory(chosen.checked(), options, interruption);
  say(stdout, chosen_text(chosen.checked()) + measured_text(memory));
  return chosen.checked();
}

}  // namespace

Outcome train(const CommandLine& line, Interruption& interruption) {
  User user(line, interruption);
  Session session(setup_of("train", line, true), load(line, "train"), user);
  check_training(session.spec());
  std::unique_ptr<Source> test;
  if (session.spec().input.dataset != config::Dataset::memory) {
    test = open_named(session.spec(), session.spec().input);
    check_same_preparation(session.spec(), session.source(), *test);
  }
  session.perform(
      [&] {
        if (test)
          check_labels(session.spec().combine, session.spec().input, *test, session.ensemble().status().members);
      },
      [&] {
        session.measure([&] { train_members(session, line.quiet); });
        if (test && test->label_layout())
          session.score(*test, 0, nullptr, {}, [&](Sink& sink) { session.ensemble().run(*test, sink); });
      });
  return conclude(session, line, results_table(session.report()), {});
}

void plan(const CommandLine& line, Interruption& interruption) {
  if (line.measure && !line.save.empty()) check_save(line.save);
  const Loaded loaded = load_or_describe(line);
  config::EnsembleSpec spec = loaded.spec;
  // With tasks and without images to run on, only an evaluation is possible: plan that.
  if (!spec.tasks.empty() && spec.input.dataset == config::Dataset::memory)
    spec = without_saved(host_models(spec, {})).hosted;
  const std::vector<Error> missing = missing_models(spec);
  for (const Error& error : missing) say_missing(error);
  const InputForm input = look_at_images(spec, missing);
  const std::filesystem::path worker = find_worker(line.worker);
  const Machine machine = look_at_machine(worker, GpuSearch::yes);
  Options options{worker, line.debug_worker, false};
  options.cache = line.cache;
  const Plan made = make_plan(spec, machine, input, options);
  check_saved_values(spec, made);
  const std::string sample = sample_text(input.tensors);
  const std::string images = input.images
                                 ? fmt::format("{} x {} of {}", *input.images, sample, to_name(spec.input.dataset))
                                 : sample + " from the API";
  say(stdout, line.dot ? graph_dot(made, images) : plan_text(made, machine, images) + choices_text(spec));
  if (!missing.empty())
    throw Error(ErrorKind::usage,
                fmt::format("{} missing, so the plan cannot be carried out",
                            missing.size() == 1 ? "a file is" : fmt::format("{} files are", missing.size())),
                missing.front().message(), missing.front().hint());
  check_memory(made);
  save_if_asked(loaded, line.save);
  if (!line.measure) return;
  const config::EnsembleSpec chosen = measure(with_segment(spec, input, false), options, interruption);
  if (line.save.empty()) return;
  save_description(with_forms(loaded.spec, chosen), line.save);
  say(stdout, fmt::format("\nwritten, with these forms: {}\n", line.save.string()));
}

void validate(const CommandLine& line) {
  const Loaded loaded = load_or_describe(line);
  const config::EnsembleSpec& spec = loaded.spec;
  const std::string what = names_models(line) ? "the description of these models" : line.file.string();
  say(stdout, fmt::format("{} is valid: {}, {} over {}\n", what, counted(spec.members.size(), "member"),
                          to_name(spec.combine.rule), to_name(spec.combine.over)));
  save_if_asked(loaded, line.save);
}

}  // namespace tutti::program
