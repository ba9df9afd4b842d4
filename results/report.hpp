// The report of a run as plain values, and as JSON: one schema for all commands, described in docs/report.md. It
// measures nothing; the code that runs a command fills it in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <tutti/predictions.hpp>
#include <tutti/status.hpp>

#include "common/json.hpp"
#include "results/figures.hpp"

namespace tutti::images {

/// Changes if a reader of the old schema would misunderstand the new one; new fields do not change it.
inline constexpr const char* kReportSchema = "tutti.report/1";

struct EpochReport {
  std::uint32_t epoch = 0;  ///< from 1
  std::optional<double> loss;
  std::optional<double> accuracy;
  double seconds = 0.0;
};

struct MemberReport {
  /// The last status from the pool; its images and busy seconds are of the pool's whole life. For a member that no
  /// worker of this command hosts, only name, kind and parameters are known.
  MemberStatus status;
  bool hosted = false;
  std::string role = "member";  ///< or "base", "merged": hosted, but not part of the combination
  std::optional<double> accuracy;
  std::optional<double> loss;
  std::optional<double> calibration_error;
  std::optional<double> busy_seconds;  ///< for `images`
  std::uint64_t images = 0;            ///< while it was measured
  std::optional<double> images_per_second;
  std::vector<EpochReport> epochs;     ///< empty unless it was trained
  std::optional<std::string> weights;  ///< the file that holds them
  std::optional<Figures> scores;       ///< if the labels are not one class per image
};

/// A step of the cascade: what it asked for, and what that saved.
struct CascadeReport {
  std::vector<std::string> after;
  std::string when;  ///< "confidence_below"
  double threshold = 0.0;
  std::vector<std::string> then;
  std::uint64_t images = 0;  ///< that these were asked for, of those that were computed
  std::uint64_t of = 0;      ///< images that were computed
  std::optional<double>
      saved_seconds;  ///< that they would have needed for the others, by their speed; nothing: unknown
};

/// What spread.npy holds.
struct SpreadReport {
  std::string kind;  ///< "variance" or "entropy"
  Dims shape;        ///< of the spread of one image; of a tile where there are tiles
};

struct EnsembleReport {
  std::string rule;
  std::string over;
  std::optional<double> accuracy;
  std::optional<double> loss;
  std::optional<double> calibration_error;
  double seconds = 0.0;
  std::uint64_t images = 0;
  std::optional<double> images_per_second;
  std::vector<std::vector<std::uint64_t>> confusion_matrix;  ///< [label][predicted]; empty without labels
  std::vector<std::optional<double>> per_class_accuracy;     ///< empty without labels
  std::vector<IncompleteSegment> incomplete;                 ///< in order; the ranks are those of Report::members
  std::optional<Figures> scores;                             ///< if the labels are not one class per image
  std::optional<SpreadReport> spread{};                      ///< if it was asked for
  std::vector<CascadeReport> cascade{};                      ///< in order; empty without one
};

/// Over the images of one task that a model predicted; nothing if there are no labels or no classes.
struct ScoreReport {
  std::optional<double> accuracy;
  std::optional<double> loss;
  std::optional<double> calibration_error;
  std::uint64_t images = 0;
  std::optional<Figures> scores{};  ///< if the labels are not one class per image
};

/// One row of an evaluation: a model by itself, or the members under a rule.
struct ModelReport {
  std::string name;                 ///< of the model; for an ensemble, the name of its rule
  std::string role;                 ///< "member", "base", "merged", "ensemble"
  std::optional<std::string> rule;  ///< of an ensemble
  std::optional<std::string> over;  ///< of an ensemble: what was combined
  std::uint64_t all_params = 0;
  std::uint64_t trainable_params = 0;
  std::vector<ScoreReport> tasks;  ///< like EvaluationReport::tasks, as far as they were started
};

/// Means over the images; see results/disagreement.hpp.
struct DisagreementReport {
  double entropy = 0.0;
  double mutual_information = 0.0;
  double variance = 0.0;
  double dissent = 0.0;
  std::uint64_t images = 0;
};

struct TaskReport {
  std::string name;
  std::string source;               ///< where its images come from
  std::optional<std::string> head;  ///< the file
  std::uint32_t classes = 0;        ///< 0: not known
  std::uint64_t images = 0;
  double seconds = 0.0;
  std::optional<double> images_per_second;
  std::optional<DisagreementReport> disagreement;
  std::vector<IncompleteSegment> incomplete;  ///< in order; the ranks are those of EvaluationReport::models
};

/// What a cascade would do with one threshold.
struct SweepRow {
  double threshold = 0.0;
  bool described = false;         ///< it is the threshold of the description
  double share = 0.0;             ///< of the images, that the later members would be asked for
  double accuracy = 0.0;          ///< of the ensemble then
  std::optional<double> seconds;  ///< of computing per 1000 images, by the times of this run; nothing: unknown
};

/// The trade between accuracy and time of a cascade of one step.
struct SweepReport {
  std::string when;
  std::vector<SweepRow> rows;  ///< by share, ascending, up to that of the largest threshold there is
};

struct EvaluationReport {
  std::vector<TaskReport> tasks;
  std::vector<ModelReport> models;
  std::optional<SweepReport> cascade_sweep{};  ///< if it was asked for
};

/// The mean over the tasks, all with the same weight; nothing if any task lacks the figure. `images` is their sum. Of
/// `scores` it has the figures, and neither lists nor the confusion matrix.
ScoreReport average_of(const std::vector<ScoreReport>& tasks);

struct MachineReport {
  std::string cpu;
  std::uint32_t usable_cores = 0;
  std::uint64_t memory_bytes = 0;
};

/// Seconds; a phase that did not take place is nothing.
struct PhasesReport {
  std::optional<double> start_up;
  std::optional<double> warm_up;
  std::optional<double> batch_search;
  std::optional<double> train;
  std::optional<double> predict;
  std::optional<double> total;
};

struct CountsReport {
  std::uint64_t images = 0;
  std::uint64_t segments_handed_out = 0;
  std::uint64_t segments_answered = 0;
  std::uint64_t input_bytes_copied = 0;
};

struct MemoryReport {
  std::optional<std::uint64_t> pss_bytes_family;  ///< coordinator and workers
  std::uint64_t arena_bytes = 0;
  std::vector<Bound> bounds;  ///< the named terms of the sum
};

/// Images first .. first + count - 1 of the input.
struct ImageRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

/// How far a run came: what all members predicted, in this run or in those that it resumes.
struct FinishedReport {
  std::uint64_t segments = 0;
  std::uint64_t of = 0;  ///< number of all segments
  std::uint64_t images = 0;
  std::uint64_t of_images = 0;
  std::uint64_t resumed = 0;       ///< segments that earlier runs finished
  std::vector<ImageRange> ranges;  ///< in order; adjacent ranges are joined
};

/// Image files of the input that cannot be decoded and were left out.
struct SkippedReport {
  std::uint64_t count = 0;
  std::vector<std::string> first;  ///< at most kSkippedNamed, each with the reason
};
inline constexpr std::size_t kSkippedNamed = 20;

struct Report {
  std::string version;
  std::string build_id;
  std::string command;
  bool completed = false;
  std::optional<std::string> interrupted_by;  ///< the signal that ended it: "SIGINT"
  std::optional<FinishedReport> finished;     ///< if a prediction started
  std::string started;                        ///< ISO 8601 in UTC: iso_8601()
  std::uint64_t seed = 0;
  MachineReport machine;
  std::optional<SkippedReport> skipped;  ///< nothing if no file was skipped
  std::string configuration;             ///< the YAML in effect
  PhasesReport phases;
  std::vector<MemberReport> members;  ///< in rank order
  std::optional<EnsembleReport> ensemble;
  std::optional<EvaluationReport> evaluation;  ///< every rule, task and model, if an evaluation was asked for
  CountsReport counts;
  FaultCounts faults;
  MemoryReport memory;
};

/// "2031-01-05T09:07:03Z" of seconds since 1970.
std::string iso_8601(std::int64_t unix_seconds);

/// In the order of docs/report.md. Missing and non-finite values become null.
json::value to_json(const Report& report);
/// Its `evaluation`.
json::value to_json(const EvaluationReport& evaluation);

/// Writes to_json() atomically. Throws Error(failed) that names the file.
void write_report(const std::filesystem::path& file, const Report& report);

}  // namespace tutti::images
