// Predicts everything that a description names into a folder, as `tutti run` does: results, a report, and a journal, so
// that a run that ended early can be continued without computing a finished segment again (docs/failure_model.md).
//
//   tutti::EnsembleSpec value = tutti::load_spec("ensemble.yaml").checked();
//   value.output = "runs/tuesday";
//   tutti::FolderRun run = tutti::run_to_folder(tutti::Spec(value), {.resume = std::filesystem::exists(value.output)});
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>
#include <tutti/evaluate.hpp>

namespace tutti {

/// How far a run is.
struct RunState {
  std::uint64_t done = 0;   ///< samples that are finished, those of an earlier run included
  std::uint64_t total = 0;  ///< samples of all
};

/// Settings of a run that are not part of the description.
struct RunOptions {
  /// Continue the unfinished run in the folder. Without a folder: the newest below `runs` that is unfinished.
  bool resume = false;
  std::filesystem::path worker{};  ///< as in Options
  bool cache = true;               ///< as in Options
  std::filesystem::path trace{};   ///< as in Options: a timeline of the workers and of the coordinator

  /// Combine rules that are evaluated in the same pass, "mean,max,vote", as `tutti run --rules` does; empty: none. What
  /// the run writes is that of the rule of the description. A run is continued with the rules that it began with.
  std::string rules{};

  /// The columns of predictions.csv, "id,label" (docs/images.md); empty: the usual ones.
  std::string csv{};

  /// Is called as segments are finished, on the thread that runs. An exception ends the run and leaves it; what is
  /// finished is kept.
  std::function<void(const RunState&)> on_progress{};
  /// When a stop is requested, what is in flight is finished, and the run ends: Error(interrupted), which says how many
  /// segments are finished.
  std::stop_token stop{};
};

/// What a run wrote. A value.
struct FolderRun {
  std::filesystem::path folder;  ///< with the results (docs/report.md)
  std::uint64_t images = 0;      ///< samples that are in them
  std::uint64_t resumed = 0;     ///< segments of these that an earlier run had finished

  /// No sample lacks a member: only then is there nothing to continue.
  bool complete = false;
  std::string json;  ///< report.json (docs/report.md)

  std::vector<EvaluatedRow> rows{};  ///< with `rules`: the members in rank order, then the rules; otherwise empty
  std::string table{};               ///< with `rules`: of these, as `tutti run` prints it
};

/// Predicts the samples of the `input` of `spec` into its `output`, or, if that is empty, into a new folder below
/// `runs`. Waits, and starts and ends the workers itself; several runs may go on at the same time, in folders of their
/// own. Throws Error(usage), before anything is computed, if the description does not fit its files, if another run
/// writes into the folder, if the folder holds an unfinished run and `resume` is not set, or if the run in it is a
/// different one; Error(failed) if a file cannot be read or written, or as Ensemble does. Segments that were finished
/// before an error are kept, and the error says so.
TUTTI_API FolderRun run_to_folder(const Spec& spec, const RunOptions& options = {});

}  // namespace tutti
