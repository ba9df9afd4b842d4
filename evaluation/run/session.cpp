#include "evaluation/run/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"
#include "config/candidates.hpp"
#include "config/input.hpp"
#include "config/stages.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/saved.hpp"
#include "coordinator/plan/segments.hpp"
#include "evaluation/class_names.hpp"
#include "evaluation/command_report.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/run/run_report.hpp"
#include "results/result_files.hpp"

namespace tutti {
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

std::unique_ptr<Source> open_named(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  return with_task_classes(open_source(spec, input), spec.classes, "the images of 'input'", "'classes'");
}

Session::Session(SessionSetup setup, config::EnsembleSpec spec, RunWatcher& watcher, EarlierRun earlier)
    : command_(std::move(setup.command)),
      resume_(setup.resume),
      watcher_(watcher),
      earlier_(std::move(earlier)),
      spec_(std::make_shared<config::EnsembleSpec>(std::move(spec))),
      options_(std::move(setup.options)) {
  const bool training = options_.training;
  options_.worker = find_worker(options_.worker);
  check_files(*spec_, training);
  own_source_ = open_named(*spec_, training ? spec_->train_input : spec_->input);
  source_ = own_source_.get();
  refuse_no_images(*source_, training);
  say_skipped(*source_);  // would warn that there are no images, which is an error here
  set_up(training ? 0 : held_score_bytes(spec_->combine, *source_, scored_rows(*spec_, setup.rules)));
}

Session::Session(SessionSetup setup, config::EnsembleSpec spec, RunWatcher& watcher, Source& source,
                 std::uint64_t held_score_bytes)
    : command_(std::move(setup.command)),
      resume_(setup.resume),
      watcher_(watcher),
      spec_(std::make_shared<config::EnsembleSpec>(std::move(spec))),
      options_(std::move(setup.options)),
      source_(&source) {
  options_.worker = find_worker(options_.worker);
  check_files(*spec_, false);
  set_up(held_score_bytes);
}

void Session::set_up(std::uint64_t held_score_bytes) {
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
  report_ = begin_report(command_, *spec_, plan_, machine);
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
  watcher_.keep(resume_ ? "the workers were not ready yet; what was finished before is kept"
                        : "the workers were not ready yet");
  ensemble_.emplace(Spec(spec_), options_);
  const std::shared_ptr<void> guard = watcher_.guard(*ensemble_);
  watcher_.keep({});
  if (!folder_) folder_.emplace(requested_folder_, "runs");
  check();
  // Little can go wrong from here; a run that continues may need what is in the folder.
  if (!resume_) clear_results(*folder_, config::files_of_inputs(*spec_));
  try {
    // From now on the folder has a report, however this program ends: it tells the next command which files are
    // results.
    write_report(begin);
    work();
    report_.completed = true;
  } catch (const Error& error) {
    if (const std::string by = watcher_.interrupted_by(); error.kind() == ErrorKind::interrupted && !by.empty())
      report_.interrupted_by = by;
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
  const std::unique_ptr<ShownImages> progress = watcher_.show_images(*ensemble_, {"predict", source.count(), known});
  const std::vector<MemberStatus> models = ensemble_->status().members;
  ComparedForm compared = compared_form(spec_->combine, spec_->input.ignore_index, models);
  if (members.labels != nullptr) {
    compared.models.clear();
    compared.elsewhere = members.labels->rows();
  }
  LabelScores labels(std::move(compared), source);
  Scoreboard scoreboard(spec_->combine, has_scores(spec_->combine, models), labels, *progress, next, members);
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
    watcher_.reported(folder() / "report.json");
  } catch (const std::exception& error) {
    log::error("no report of this run could be written: {}", error.what());
  }
}

void Session::write_report(Clock::time_point begin) {
  add_status(report_, ensemble_->status(StatusDetail::memory));
  report_.phases.total = seconds_since(begin);
  images::write_report(folder() / "report.json", report_);
}

}  // namespace tutti
