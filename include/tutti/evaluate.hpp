// How good the predictions of an ensemble are, compared with labels: of each member, and of the members under one or
// several combine rules, all from one pass over the samples. The figures are those of `tutti evaluate`
// (docs/evaluation.md).
//
//   tutti::Evaluated found = tutti::evaluate(ensemble, images, labels, {.rules = "mean,vote"});
//   for (const tutti::EvaluatedRow& row : found.rows) ... row.name, row.figure("accuracy") ...
#pragma once

#include <cstdint>
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
  /// The evaluation is given up when a stop is requested: Error(interrupted).
  std::stop_token stop{};
};

/// A member by itself, or the members under a rule.
struct EvaluatedRow {
  std::string name;          ///< of the member, or of the rule
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
/// labels, if they do not fit what the members predict, if a rule cannot be applied, and for ensembles that cannot be
/// evaluated like this: those with a `cascade`, with `tiles`, or whose members are combined over features, which are
/// evaluated by `tutti evaluate` and a head. Error(failed) if members come or go while it begins; later, it is of those
/// with which it began. Otherwise throws what Ensemble::run() throws.
TUTTI_API Evaluated evaluate(Ensemble& ensemble, Source& source, const EvaluateOptions& options = {});
/// The same of images in memory. `labels` are of as many samples: int64 of no sizes, a class for each; int64 of other
/// sizes, the classes of a mask; or float32, the numbers, or 0 and 1 for each of several labels, which may also be
/// int64. The name of their tensor does not matter.
TUTTI_API Evaluated evaluate(Ensemble& ensemble, const Images& images, const TensorView& labels,
                             const EvaluateOptions& options = {});
/// The same of tensors in memory.
TUTTI_API Evaluated evaluate(Ensemble& ensemble, const Samples& samples, const TensorView& labels,
                             const EvaluateOptions& options = {});

}  // namespace tutti
