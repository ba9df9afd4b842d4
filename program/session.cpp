#include "program/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <tuple>
#include <utility>

#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"
#include "config/candidates.hpp"
#include "config/input.hpp"
#include "config/load.hpp"
#include "config/stages.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/saved.hpp"
#include "coordinator/plan/segments.hpp"
#include "evaluation/class_names.hpp"
#include "evaluation/label_scores.hpp"
#include "program/progress.hpp"
#include "program/quick_start.hpp"
#include "program/reporting.hpp"
#include "program/say.hpp"
#include "program/scoreboard.hpp"
#include "program/summary.hpp"
#include "results/result_files.hpp"

namespace tutti::program {
namespace {

using Clock = std::chrono::steady_clock;

bool readable(const std::filesystem::path& file) { return ::access(file.c_str(), R_OK) == 0; }

}  // namespace

std::vector<Error> missing_files(const config::EnsembleSpec& spec, bool training) {
  std::vector<Error> missing;
  const auto look = [&](const std::string& name, const std::filesystem::path& file, const std::string& what,
                        const std::string& hint) {
    if (!file.empty() && !readable(file))
      missing.emplace_back(ErrorKind::usage, fmt::format("{}: there is no readable file '{}'", name, file.string()),
                           fmt::format("named by its '{}'; relative paths start at the current folder", what), hint);
  };
  for (const config::NamedModel& named : config::models_of(spec.members)) {
    const bool trained = facts_of(named.model.kind).trainable;
    if (!training) look(named.name, named.model.weights, "weights", trained ? "train them first: tutti train" : "");
    const std::vector<std::string> candidates = config::files_of_candidates(named.model);
    for (const std::string& file : candidates) look(named.name, file, "model.files", "");
    if (candidates.empty())
      for (const NamedPath& one : paths_of(named.model.kind)) look(named.name, one.path, one.key, "");
  }
  for (const config::MemberSpec& member : spec.members)
    if (training) look(member.name, member.train.init, "train.init", "");
  return missing;
}

namespace {

void check_files(const config::EnsembleSpec& spec, bool training) {
  if (const std::vector<Error> missing = missing_files(spec, training); !missing.empty()) throw missing.front();
}

/// A training on no images would replace weights by untrained ones.
void refuse_no_images(const Source& source, bool training) {
  if (source.count() > 0) return;
  throw Error(ErrorKind::usage, fmt::format("there are no images to {}", training ? "train on" : "predict"),
              source.name(),
              fmt::format("see 'limit' and 'count' of {}",
                          training ? "'train.input', or of 'input' if there is none" : "'input'"));
}

}  // namespace

std::size_t scored_rows(const config::EnsembleSpec& spec, const std::string& rules) {
  const auto named = static_cast<std::size_t>(std::count(rules.begin(), rules.end(), ','));
  return spec.members.size() + (spec.combine.rule == CombineRule::none ? 0 : 1) + (rules.empty() ? 0 : named + 1);
}

config::EnsembleSpec load(const CommandLine& line) {
  if (!names_models(line)) {
    refuse_options_of_models(line);
    return config::load_file(line.file, {line.overrides, line.assign});
  }
  CommandLine rest = line;
  const std::string yaml = description_of_models(rest);
  config::EnsembleSpec spec = config::load_text(yaml, "the description of these models", {rest.overrides, rest.assign});
  std::string where;
  if (line.save.empty()) {
    where = ", which --save FILE.yaml writes";
  } else if (!line.measure) {  // else `plan` writes it when it has measured
    save_description(yaml, line.save);
    where = fmt::format(", now in {}", line.save.string());
  }
  log::info("these models stand for a description{}:\n{}", where, yaml);
  return spec;
}

std::unique_ptr<Source> open_named(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  return with_task_classes(open_source(spec, input), spec.classes, "the images of 'input'", "'classes'");
}

Session::Session(const std::string& command, const CommandLine& line, bool training, Interruption& interruption,
                 EarlierRun earlier)
    : line_(line),
      interruption_(interruption),
      earlier_(std::move(earlier)),
      spec_(std::make_shared<config::EnsembleSpec>(load(line))) {
  options_ = {find_worker(line.worker), line.debug_worker, training, line.trace};
  options_.cache = line.cache;
  check_files(*spec_, training);
  own_source_ = open_named(*spec_, training ? spec_->train_input : spec_->input);
  source_ = own_source_.get();
  refuse_no_images(*source_, training);
  say_skipped(*source_);  // would warn that there are no images, which is an error here
  set_up(command, training ? 0 : held_score_bytes(spec_->combine, *source_, scored_rows(*spec_, line.rules)));
}

Session::Session(const std::string& command, const CommandLine& line, Interruption& interruption,
                 config::EnsembleSpec spec, Source& source, std::uint64_t held_score_bytes)
    : line_(line),
      interruption_(interruption),
      spec_(std::make_shared<config::EnsembleSpec>(std::move(spec))),
      source_(&source) {
  options_ = {find_worker(line.worker), line.debug_worker, false, line.trace};
  options_.cache = line.cache;
  check_files(*spec_, false);
  set_up(command, held_score_bytes);
}

void Session::set_up(const std::string& command, std::uint64_t held_score_bytes) {
  const Machine machine = look_at_machine(options_.worker, gpus_wanted(*spec_));
  const config::InputSpec input = options_.training ? spec_->train_input : spec_->input;
  InputForm form = form_of(*source_, *spec_, input);
  form.held_score_bytes = held_score_bytes;
  config::EnsembleSpec planned = with_segment(*spec_, form, options_.training);
  config::FoundSamples found = found_in(*source_);
  found.held_score_bytes = held_score_bytes;
  (options_.training ? planned.train_input : planned.input).found = std::move(found);
  spec_ = std::make_shared<config::EnsembleSpec>(std::move(planned));
  choose_forms();
  plan_ = make_plan(*spec_, machine, form, options_);
  check_saved_values(*spec_, plan_);
  for (const std::string& note : plan_.notes) log::info("{}", note);
  report_ = begin_report(command, *spec_, plan_, machine);
  note_skipped();
  requested_folder_ = spec_->output;
}

// Before the plan, so that everything behind it is as if the user had written these forms.
void Session::choose_forms() {
  if (!config::leaves_choice(*spec_)) return;
  images::check_run_folder(spec_->output, "runs");
  if (const auto before = earlier_ ? earlier_(*spec_) : std::nullopt)
    if (auto chosen = with_noted_forms(*before, *spec_)) {
      spec_ = std::make_shared<config::EnsembleSpec>(*std::move(chosen));
      return;
    }
  spec_ = std::make_shared<config::EnsembleSpec>(choose_models(Spec(spec_), options_).checked());
}

void Session::note_skipped() {
  std::vector<std::string> skipped = source_->skipped();
  if (skipped.empty()) return;
  const std::size_t count = skipped.size();
  skipped.resize(std::min(count, images::kSkippedNamed));
  report_.skipped = {count, std::move(skipped)};
}

void Session::hold_folder() {
  std::error_code unknown;
  if (!folder_ && std::filesystem::is_directory(requested_folder_, unknown)) folder_.emplace(requested_folder_, "runs");
}

void Session::perform(const std::function<void()>& check, const std::function<void()>& work) {
  const Clock::time_point begin = Clock::now();
  hold_folder();
  images::check_run_folder(folder_ ? folder() : requested_folder_, "runs");
  log::info("starting {}", counted(plan_.workers.size(), "worker"));
  interruption_.keep(line_.resume ? "the workers were not ready yet; what was finished before is kept"
                                  : "the workers were not ready yet");
  ensemble_.emplace(Spec(spec_), options_);
  const Interruption::Watch watch(interruption_, *ensemble_);
  interruption_.keep({});
  if (!folder_) folder_.emplace(requested_folder_, "runs");
  check();
  // Little can go wrong from here; a run that continues may need what is in the folder.
  if (!line_.resume) clear_results(*folder_, config::files_of_inputs(*spec_));
  try {
    // From now on the folder has a report, however this program ends: it tells the next command which files are
    // results.
    write_report(begin);
    work();
    report_.completed = true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted && interruption_.signal() != 0)
      report_.interrupted_by = signal_name(interruption_.signal());
    report_failure(begin);
    throw;
  } catch (...) {
    report_failure(begin);
    throw;
  }
  write_report(begin);
}

void Session::score(Source& source, std::uint64_t known, Sink* next, const ScoredMembers& members,
                    const std::function<void(Scoreboard&)>& drive) {
  Progress progress(style_for(stderr, line_.quiet), "predict", source.count(), known,
                    [this] { return ensemble_->status(); });
  const std::vector<MemberStatus> models = ensemble_->status().members;
  ComparedForm compared = compared_form(spec_->combine, spec_->input.ignore_index, models);
  if (members.labels != nullptr) {
    compared.models.clear();
    compared.elsewhere = members.labels->rows();
  }
  LabelScores labels(std::move(compared), source);
  Scoreboard scoreboard(spec_->combine, has_scores(spec_->combine, models), labels, progress, next, members);
  const Clock::time_point begin = Clock::now();
  const auto add = [&] { add_scores(report_, scoreboard, *spec_, seconds_since(begin), known); };
  try {
    drive(scoreboard);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted && scoreboard.images() > 0) add();
    throw;
  }
  add();
}

void Session::measure(const std::function<void()>& work) {
  const Status before = ensemble_->status();
  try {
    work();
  } catch (...) {
    add_speeds(report_, before, ensemble_->status());  // what was computed so far
    add_cascade(report_, *spec_);
    throw;
  }
  add_speeds(report_, before, ensemble_->status());
  add_cascade(report_, *spec_);
}

// Reports what is known of a run that failed. The user must see the first error.
void Session::report_failure(Clock::time_point begin) noexcept {
  try {
    write_report(begin);
    if (!line_.quiet) say(stderr, fmt::format("report: {}\n", (folder() / "report.json").string()));
  } catch (const std::exception& error) {
    log::error("no report of this run could be written: {}", error.what());
  }
}

void Session::write_report(Clock::time_point begin) {
  add_status(report_, ensemble_->status(StatusDetail::memory));
  report_.phases.total = seconds_since(begin);
  images::write_report(folder() / "report.json", report_);
}

Outcome Session::conclude(const std::string& advice) { return conclude(results_table(report_), advice); }

Outcome Session::conclude(const std::string& table, const std::string& advice) {
  const std::string missing = missing_text(report_, spec_->segment_images) + advice;
  // A user who asked for errors only must still learn that the results are incomplete.
  if (line_.quiet)
    say(stderr, missing);
  else
    say(stdout, fmt::format("{}{}{}{}report: {}\n", table, cascade_text(report_), faults_text(report_.faults), missing,
                            (folder() / "report.json").string()));
  return is_incomplete(report_) ? Outcome::incomplete : Outcome::complete;
}

}  // namespace tutti::program
