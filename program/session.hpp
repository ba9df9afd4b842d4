// One command on its way: description, plan, source and report, and the ensemble once it is started. What `tutti run`
// and `tutti train` have in common.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "config/spec.hpp"
#include "coordinator/plan/plan.hpp"
#include "program/commands.hpp"
#include "program/scores.hpp"
#include "results/report.hpp"
#include "results/run_folder.hpp"

namespace tutti::program {

/// Reads the description that the command line names. Throws Error(usage).
config::EnsembleSpec load(const CommandLine& line);

/// The files of a description's inputs that could lie in an output folder: arrays.
std::vector<std::filesystem::path> arrays_of(const config::EnsembleSpec& spec);

/// Removes from the output folder of a command what an earlier one left there (results/result_files.hpp), and says so.
/// Whether there was any.
bool clear_results(const images::RunFolder& folder, const std::vector<std::filesystem::path>& inputs);

class Session {
 public:
  /// Finds everything wrong that can be found before a process is started. Throws Error.
  Session(const std::string& command, const CommandLine& line, bool training, Interruption& interruption);
  /// To predict by a description that was made of the one that the command line names, the images of whose `input` are
  /// open already; they outlive the session.
  Session(const std::string& command, const CommandLine& line, Interruption& interruption, config::EnsembleSpec spec,
          Source& source);

  const CommandLine& line() const { return line_; }
  const config::EnsembleSpec& spec() const { return *spec_; }
  const Plan& plan() const { return plan_; }
  Source& source() { return *source_; }
  images::Report& report() { return report_; }
  const images::Report& report() const { return report_; }
  Ensemble& ensemble() { return *ensemble_; }

  /// Results go there, instead of where the description says.
  void work_in(const std::filesystem::path& folder) { requested_folder_ = folder; }
  void work_in(images::RunFolder folder) { folder_.emplace(std::move(folder)); }
  /// Locks the folder if it is there: before what is in it is looked at, and before a process is started. Throws
  /// Error(usage) where another program writes into it.
  void hold_folder();
  /// Members compute with these batches, which an earlier run measured.
  void use_batches(std::vector<std::uint32_t> batches) { options_.batch_images = std::move(batches); }
  /// Where they go; there once the workers are up.
  const std::filesystem::path& folder() const { return folder_->path(); }

  /// Starts the workers, calls `check`, which may throw what only they can tell to be wrong, removes the results of an
  /// earlier command (not where a run is resumed), does `work`, and writes the report whether it ended well or not.
  void perform(const std::function<void()>& check, const std::function<void()>& work);

  /// Scores what `drive` hands to the sink that it is given, of `images` images in all, `known` of which need no
  /// computing. The results go on to `next`, which may score the members itself (`members`, or null: Scores); the
  /// scores go into the report, also if the user ended it.
  void score(std::uint64_t images, std::uint64_t known, Sink* next, const std::vector<MaybeMetrics>* members,
             const std::function<void(Sink&)>& drive);

  /// Does `work`; what the members compute meanwhile gives their speeds in the report.
  void measure(const std::function<void()>& work);

  /// Prints the table of results, what went wrong on the way, and what is missing, with `advice` below it.
  Outcome conclude(const std::string& advice);
  /// The same with another table.
  Outcome conclude(const std::string& table, const std::string& advice);

 private:
  using Clock = std::chrono::steady_clock;
  void set_up(const std::string& command);
  void note_skipped();
  void report_failure(Clock::time_point begin) noexcept;
  void write_report(Clock::time_point begin);

  const CommandLine& line_;
  Interruption& interruption_;
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

}  // namespace tutti::program
