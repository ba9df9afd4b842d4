// Combines predictions that are in files, by other rules or weights, without running a model: those that a run saved,
// or arrays that something else computed. What is written and reported is that of `tutti combine` (docs/evaluation.md).
//
//   tutti::Combined c = tutti::combine("runs/0001", {.rules = "mean,vote", .output = "runs/combined"});
//   for (const tutti::EvaluatedRow& row : c.tasks.front().rows) ... row.name, row.figure("accuracy") ...
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <tutti/evaluate.hpp>

namespace tutti {

/// An array of predictions: the first axis counts the samples, at most kMaxRank axes follow.
struct PredictionFile {
  std::filesystem::path file;  ///< .npy, an array of an .npz ("p.npz:unet"), or the numbers of a .csv
  std::string name{};          ///< of the member; empty: as the array, or the file without its ending, is called
};

/// Predictions that something else computed, all of the same samples in the same order.
struct SavedPredictions {
  std::vector<PredictionFile> members;         ///< one array for each, of equal shapes
  std::filesystem::path labels{};              ///< to compare with: as `labels` of an `input`; empty: no figures
  std::optional<std::int64_t> ignore_index{};  ///< places of masks with this label do not count
  bool logits = false;                         ///< they are logits, of which `combine.activation` makes probabilities
};

/// How to combine, and where to.
struct CombineOptions {
  std::string rules{};    ///< "mean,vote"; empty: the rule of the run, or that of `settings`
  std::string weights{};  ///< "1,0.5": a weight for each member, in rank order; empty: those that they have

  /// Applied after the description of the run: "members.0.weight=2". Of arrays those of `combine` and `on_nan`:
  /// "combine.over=values".
  std::vector<std::string> settings{};
  /// The columns of a predictions.csv for each rule, "id,label" (docs/images.md); empty: no such files.
  std::string csv{};
  /// The folder for the results, made if it is missing; results of an earlier command in it are removed. Empty: a new
  /// numbered one under runs/.
  std::filesystem::path output{};
  /// When a stop is requested, the combination is given up: Error(interrupted). Only whole tasks are left.
  std::stop_token stop{};
};

/// What was combined for one task, or for the samples of a run.
struct CombinedTask {
  std::string name;                           ///< of the task; of a run without tasks its data set
  std::filesystem::path folder;               ///< with a folder for each rule: predictions.npy, predicted.npy
  std::uint64_t images = 0;                   ///< samples that were combined
  std::vector<EvaluatedRow> rows;             ///< the members in rank order, then the rules
  std::vector<IncompleteSegment> incomplete;  ///< samples that lack a member, in order
};

/// What a combination wrote and found. A value.
struct Combined {
  std::filesystem::path folder;     ///< with report.json
  std::vector<CombinedTask> tasks;  ///< in the order of the run
  std::string table;                ///< as `tutti combine` prints it; empty if nothing is known of the predictions
  std::string json;                 ///< report.json (docs/report.md)
};

/// Combines what a run or an evaluation with `save_members: true` left in `run`, its folder. Writes the bytes that the
/// run would have written by these rules. Reads and writes on this thread, part by part, so the files may be larger
/// than memory. Throws Error(usage), which calls the options as `tutti combine` does (`--rules`), if there is nothing
/// to combine, or a rule or weights do not fit; Error(failed) if a file could not be written.
TUTTI_API Combined combine(const std::filesystem::path& run, const CombineOptions& options = {});
/// The same by the rule, the weights and `accumulate` of a description, whose `output` names the folder of the run.
/// Error(usage) if there are `settings`: load_spec() takes those of a description.
TUTTI_API Combined combine(const Spec& run, const CombineOptions& options = {});
/// The same of arrays.
TUTTI_API Combined combine(const SavedPredictions& predictions, const CombineOptions& options = {});

}  // namespace tutti
