// The quality of predictions of which several labels may be right: accuracy, F1 and average precision of each label.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "results/segment_sums.hpp"

namespace tutti::images {

/// The most scores that the metrics of one run hold for the average precision, all models together: it needs all scores
/// of a label at once. Each takes kHeldScoreBytes, so this is 320 MB.
constexpr std::uint64_t kMaxHeldScores = 64'000'000;
/// A score, and whether its label is right.
constexpr std::uint64_t kHeldScoreBytes = 5;

/// What the scores of one image are, and what is done with them.
struct MultiLabelForm {
  std::size_t labels = 1;
  /// Scores in a row that belong to the same label: 1, or height x width of a mask with a plane for each label. The
  /// scores of an image are any number of times labels x places.
  std::size_t places = 1;
  /// A label is predicted where its score is above it. Nothing: the scores are not probabilities, and only the average
  /// precision, which goes by their order, makes sense.
  std::optional<double> threshold = 0.5;
  std::uint64_t most_held = kMaxHeldScores;
  /// As many scores will come, as far as that is known; 0: not known. If they are too many to be held, none is.
  std::uint64_t expected = 0;
};

/// Counts over everything that was added. With TP, FP, FN and TN of a label: the places where it is right and
/// predicted, only predicted, only right, neither:
///
///   accuracy   (TP + TN) / all (`accuracy_score` of scikit-learn, label by label)
///   F1         2 TP / (2 TP + FP + FN); nothing if the label is neither right nor predicted anywhere. Macro: the mean
///              over the labels that have one; micro: of the counts of all labels together (`f1_score`)
///   average precision
///              sum over n of (R_n - R_(n-1)) P_n, with precision P_n and recall R_n of the scores that are not below
///              the n-th largest of the distinct scores; nothing if the label is right nowhere
///              (`average_precision_score`)
///
/// A NaN among the scores of a label makes its average precision NaN, and is not above the threshold. A value; one
/// thread.
class MultiLabelMetrics {
 public:
  explicit MultiLabelMetrics(const MultiLabelForm& form);

  /// Whole images: as many labels, each 0 or 1, as scores.
  void add(std::span<const float> labels, std::span<const float> scores);

  /// What is added from now on is one segment. Call it for each that is written.
  void begin_segment();
  /// The counts of this segment and, as long as scores are held, all of its scores and labels: 5 bytes for each.
  void write_segment(SumWriter& out) const;
  /// Adds a segment that was written, as if its images were added. Throws SumMisfit if it is of other labels.
  void read_segment(SumReader& in);

  /// Labels that count.
  std::uint64_t values() const noexcept { return values_; }
  // By label; all nothing without a threshold.
  std::vector<std::optional<double>> accuracy() const;
  std::vector<std::optional<double>> f1() const;
  std::optional<double> micro_f1() const;
  /// By label; all nothing if there were more than `most_held` scores.
  std::vector<std::optional<double>> average_precision() const;
  /// False once there were more scores than `most_held`.
  bool holds_scores() const noexcept { return holds_; }
  bool has_threshold() const noexcept { return form_.threshold.has_value(); }

 private:
  struct Counts {
    std::uint64_t both = 0;       // TP
    std::uint64_t predicted = 0;  // TP + FP
    std::uint64_t right = 0;      // TP + FN
    std::uint64_t all = 0;
  };
  struct Held {
    std::vector<float> scores;
    std::vector<std::uint8_t> right;  // 0 or 1
  };

  static std::optional<double> f1_of(const Counts& counts);
  void hold(std::size_t label, float score, bool right);
  /// Holds no scores from now on if `more` are too many.
  void make_room(std::uint64_t more);

  MultiLabelForm form_;
  std::uint64_t values_ = 0;
  std::vector<Counts> of_;  // by label
  bool holds_ = true;
  std::vector<Held> held_;  // by label
  // Before the current segment.
  std::vector<Counts> of_before_;
  std::uint64_t values_before_ = 0;
  std::size_t held_before_ = 0;  // by each label
};

}  // namespace tutti::images
