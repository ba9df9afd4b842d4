// How good the predictions of an ensemble are, compared with labels: of each member, and of the members under one or
// several combine rules, all from one pass over the samples. The figures are those of `tutti evaluate`
// (docs/evaluation.md).
//
//   tutti::Evaluated found = tutti::evaluate(ensemble, images, labels, {.rules = "mean,vote"});
//   for (const tutti::EvaluatedRow& row : found.rows) ... row.name, row.figure("accuracy") ...
//
// That is of an ensemble that runs. A description, with its tasks, its base model and merged ones, is evaluated by
// evaluate_to_folder().
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

namespace tutti {

/// What to evaluate.
struct EvaluateOptions {
  /// Combine rules, "mean,max,vote"; empty: the rule of the ensemble. The members are combined under each of them.
  std::string rules{};
  /// Places of masks with this label do not count; nothing: that of the ensemble's `input`.
  std::optional<std::int64_t> ignore_index{};
  /// For members that are combined over features: the file of the head that turns these into classes, as that of a task
  /// (docs/evaluation.md). Rules that need classes are applied behind it. Empty: none.
  std::filesystem::path head{};
  /// The evaluation is given up when a stop is requested: Error(interrupted).
  std::stop_token stop{};
};

/// A member by itself, or the members under a rule. evaluate_to_folder() also has the base model and merged ones.
struct EvaluatedRow {
  std::string name;          ///< of the member, of the model, or of the rule
  bool ensemble = false;     ///< it is the members under a rule
  std::uint64_t images = 0;  ///< that were predicted and compared

  /// What is known of it, in the order of docs/evaluation.md. Of one class per sample: "accuracy", "loss",
  /// "calibration_error". Of masks, numbers and several labels, the figures of these ("mean_iou", "r2", ...).
  std::vector<std::pair<std::string, double>> figures;

  /// One of them; nothing if it is not known.
  std::optional<double> figure(std::string_view called) const {
    for (const auto& [known, value] : figures)
      if (known == called) return value;
    return std::nullopt;
  }
};

/// What an evaluation found. A value.
struct Evaluated {
  std::vector<EvaluatedRow> rows;             ///< the members in rank order, then the rules
  std::uint64_t images = 0;                   ///< samples that were evaluated
  double seconds = 0.0;                       ///< that it took
  std::vector<IncompleteSegment> incomplete;  ///< samples that lack a member, in order

  std::string table;  ///< as `tutti evaluate` prints it, also how much the members disagree
  std::string json;   ///< everything, as `evaluation` in the report of `tutti evaluate` (docs/report.md)
};

/// Predicts the samples of `source` and compares with its labels. Predictions of other threads go on meanwhile. Waits;
/// the source is read on this thread, which must not be a callback of the ensemble. Throws Error(usage) if there are no
/// labels, if they or the head do not fit what the members predict, if a rule cannot be applied, and for ensembles that
/// cannot be evaluated like this: those with a `cascade`, whose later members do not predict every sample
/// (evaluate_to_folder() leaves it out), with `tiles`, which are blended, or whose members are combined over features,
/// if there is no head. Error(failed) if members come or go while it begins; later, it is of those with which it began.
/// Otherwise throws what Ensemble::run() throws.
TUTTI_API Evaluated evaluate(Ensemble& ensemble, Source& source, const EvaluateOptions& options = {});
/// The same of images in memory. `labels` are of as many samples: int64 of no sizes, a class for each; int64 of other
/// sizes, the classes of a mask; or float32, the numbers, or 0 and 1 for each of several labels, which may also be
/// int64. The name of their tensor does not matter.
TUTTI_API Evaluated evaluate(Ensemble& ensemble, const Images& images, const TensorView& labels,
                             const EvaluateOptions& options = {});
/// The same of tensors in memory.
TUTTI_API Evaluated evaluate(Ensemble& ensemble, const Samples& samples, const TensorView& labels,
                             const EvaluateOptions& options = {});

/// How far an evaluation of a description is.
struct EvaluationState {
  std::string task;         ///< its name
  std::size_t number = 0;   ///< of the task, from 0
  std::size_t tasks = 0;    ///< of all
  std::uint64_t done = 0;   ///< samples of this task that are finished
  std::uint64_t total = 0;  ///< samples of this task
};

/// What to evaluate of a description, and where.
struct FolderEvaluationOptions {
  std::string rules{};  ///< as in EvaluateOptions

  /// Weights of merged models, "FILE" or "NAME=FILE", of the kind of `base` or of the first member. Such a model is
  /// evaluated next to the members, and is not part of the ensemble.
  std::vector<std::string> merged{};
  /// What other thresholds of the `cascade`, which has one step, would save and cost.
  bool cascade_sweep = false;
  std::string csv{};  ///< the columns of predictions.csv, as in RunOptions

  std::filesystem::path worker{};  ///< as in Options
  std::filesystem::path trace{};   ///< as in Options
  bool cache = true;               ///< as in Options

  /// Is called as segments are finished, on the thread that evaluates. An exception ends the evaluation and leaves it.
  std::function<void(const EvaluationState&)> on_progress{};
  /// When a stop is requested, what is in flight is finished, and the evaluation ends: Error(interrupted).
  std::stop_token stop{};
};

/// What was found of one task, or of the `input` of a description without tasks.
struct EvaluatedTask {
  std::string name;                           ///< of the task; without tasks the data set
  std::filesystem::path folder;               ///< with disagreement.npy, predictions.csv (docs/evaluation.md)
  std::uint64_t images = 0;                   ///< samples that were evaluated
  double seconds = 0.0;                       ///< that it took
  std::vector<EvaluatedRow> rows;             ///< the members in rank order, base, merged models, then the rules
  std::vector<IncompleteSegment> incomplete;  ///< samples that lack a model, in order; the ranks are those of `rows`
};

/// What a cascade would do with one threshold.
struct CascadeTrade {
  double threshold = 0.0;           ///< as `when` of the cascade has it
  bool described = false;           ///< it is the one of the description
  double share = 0.0;               ///< of the samples, from 0 to 1, that its later members would be asked for
  double accuracy = 0.0;            ///< of the ensemble then
  std::optional<double> seconds{};  ///< that members would compute for 1000 samples; nothing: unknown
};

/// What the evaluation of a description found and wrote. A value.
struct FolderEvaluation {
  std::filesystem::path folder;         ///< with report.json
  std::vector<EvaluatedTask> tasks;     ///< in the order of the description
  std::vector<EvaluatedRow> average;    ///< over the tasks, each with the same weight; rows like theirs
  std::vector<CascadeTrade> cascade{};  ///< with `cascade_sweep`: by share, ascending
  bool complete = false;                ///< no sample lacks a model
  std::string table;                    ///< as `tutti evaluate` prints it, without that of the cascade
  std::string json;                     ///< report.json (docs/report.md)
};

/// Evaluates what `spec` describes as `tutti evaluate` does: every task, or `input` if there are none; each member,
/// `base` and merged models by themselves, and the members under each rule, behind the head of the task if it has one.
/// Every model predicts every sample: a `cascade` and a `quorum` are left out. Results go into `output`, or, if that is
/// empty, into a new folder below `runs`; those of an earlier command in it are removed. Waits, and starts and ends the
/// workers itself. Throws Error(usage), before anything is computed, if the description does not fit its files, labels,
/// heads or rules, with `tiles`, and if another run writes into the folder; Error(failed) if a file cannot be read or
/// written, or as Ensemble does. The tasks that were finished before an error are in report.json.
TUTTI_API FolderEvaluation evaluate_to_folder(const Spec& spec, const FolderEvaluationOptions& options = {});

}  // namespace tutti
