// One running command: description, plan, source and report, and the ensemble once it is started. Shared by runs into
// a folder, trainings and evaluations. It prints nothing.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

#include "config/spec.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "coordinator/plan/plan.hpp"
#include "evaluation/run/run_watcher.hpp"
#include "evaluation/run/scoreboard.hpp"
#include "results/report.hpp"
#include "results/run_folder.hpp"

namespace tutti {

/// An error for each file of the models that does not exist or cannot be read, in rank order. In training the members
/// start from other files.
std::vector<Error> missing_files(const config::EnsembleSpec& spec, bool training);

/// How many models and rules are scored: the members, the ensemble, and the rules of `--rules`.
std::size_t scored_rows(const config::EnsembleSpec& spec, const std::string& rules);

/// The source of `input`, whose labels go by the names in `classes`, if there are any (class_names.hpp).
std::unique_ptr<Source> open_named(const config::EnsembleSpec& spec, const config::InputSpec& input);

/// What the run that a command continues was started with; nothing if it continues none.
using EarlierRun = std::function<std::optional<Fingerprint>(const config::EnsembleSpec& spec)>;

/// What a command is started with, besides the description.
struct SessionSetup {
  std::string command;  ///< "run": for the report
  Options options{};    ///< of the pool; the worker program is looked for
  bool resume = false;  ///< results of an earlier command in the folder stay
  std::string rules{};  ///< that are evaluated, too
};

/// `options`: a program's, of run_to_folder() or evaluate_to_folder().
template <class CallerOptions>
SessionSetup setup_of(std::string command, const CallerOptions& options) {
  SessionSetup setup{.command = std::move(command), .rules = options.rules};
  setup.options.worker = options.worker;
  setup.options.cache = options.cache;
  setup.options.trace = options.trace;
  setup.options.stop = options.stop;
  return setup;
}

class Session {
 public:
  /// Finds every mistake that can be found before a process is started, except that the forms of members that leave a
  /// choice are measured in processes that have ended when this returns. `watcher` outlives it. Throws Error.
  Session(SessionSetup setup, config::EnsembleSpec spec, RunWatcher& watcher, EarlierRun earlier = {});
  /// The same with images that are open already; they outlive the session. `held_score_bytes`, which scoring them
  /// needs, are as in label_scores.hpp.
  Session(SessionSetup setup, config::EnsembleSpec spec, RunWatcher& watcher, Source& source,
          std::uint64_t held_score_bytes);

  const config::EnsembleSpec& spec() const { return *spec_; }
  const Plan& plan() const { return plan_; }
  Source& source() { return *source_; }
  images::Report& report() { return report_; }
  const images::Report& report() const { return report_; }
  Ensemble& ensemble() { return *ensemble_; }

  /// Results go there, instead of the folder in the description.
  void work_in(const std::filesystem::path& folder) { requested_folder_ = folder; }
  void work_in(images::RunFolder folder) { folder_.emplace(std::move(folder)); }
  /// Locks the folder if it exists, before its contents are checked and before a process is started. Throws
  /// Error(usage) if another program writes into it.
  void hold_folder();
  /// Members compute with these batches, which an earlier run measured.
  void use_batches(std::vector<std::uint32_t> batches) { options_.batch_images = std::move(batches); }
  /// The folder of the results; it exists once the workers are up.
  const std::filesystem::path& folder() const { return folder_->path(); }

  /// Starts the workers, calls `check`, which may throw for mistakes that only the workers reveal, removes the results
  /// of an earlier command (unless a run is resumed), does `work`, and writes the report whether it ended well or not.
  void perform(const std::function<void()>& check, const std::function<void()>& work);

  /// Scores what `drive` passes to the sink that it gets: all images of `source`, `known` of which need no computing.
  /// The results go on to `next`, which may score the members itself (ScoredMembers). The scores go into the report,
  /// even if the user interrupted the run.
  void score(Source& source, std::uint64_t known, Sink* next, const ScoredMembers& members,
             const std::function<void(Scoreboard&)>& drive);

  /// Does `work`; what the members compute in this time gives their speeds in the report.
  void measure(const std::function<void()>& work);

 private:
  using Clock = std::chrono::steady_clock;
  void set_up(std::uint64_t held_score_bytes);
  void choose_forms();
  void note_skipped();
  void report_failure(Clock::time_point begin) noexcept;
  void write_report(Clock::time_point begin);

  const std::string command_;
  const bool resume_;
  RunWatcher& watcher_;
  EarlierRun earlier_;
  std::shared_ptr<const config::EnsembleSpec> spec_;
  Options options_;
  std::unique_ptr<Source> own_source_;
  Source* source_;
  Plan plan_;
  images::Report report_;
  std::filesystem::path requested_folder_;
  std::optional<images::RunFolder> folder_;
  std::optional<Ensemble> ensemble_;
};

}  // namespace tutti
