// The quality of predicted masks, in which every place (a pixel, a voxel, a token) has a class: pixel accuracy,
// intersection over union, Dice, and the confusion matrix. It does not choose the classes: the combine rule does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "results/segment_sums.hpp"

namespace tutti::images {

/// Counts over all places of all images that were added. With TP, FP and FN of a class: the places where it is both
/// label and prediction, only the prediction, only the label.
///
///   accuracy   places whose predicted class is their label / all places
///   IoU        TP / (TP + FP + FN), the Jaccard index (Everingham et al., "The Pascal Visual Object Classes Challenge:
///              A Retrospective", IJCV 2015; `jaccard_score` of scikit-learn)
///   Dice       2 TP / (2 TP + FP + FN) (Dice, "Measures of the Amount of Ecologic Association Between Species",
///              Ecology 1945; `f1_score` of scikit-learn)
///
/// The counts are of the whole set, not means of the images. A class that is neither label nor prediction anywhere has
/// no IoU and no Dice. Places whose label is `ignored` count nowhere. A value; one thread.
class MaskMetrics {
 public:
  MaskMetrics(std::uint32_t classes, std::optional<std::int64_t> ignored);

  /// The labels and the predicted classes of one image, in the same order of places. `image` names it in errors. Throws
  /// Error(usage) if a label is neither a class nor `ignored`, or if a predicted class is not one.
  void add(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted, std::uint64_t image);

  /// What is added from now on is one segment. Call it for each that is written.
  void begin_segment() { before_ = sums_; }
  /// The counts of this segment: those of the confusion matrix that are not 0, or, without one, those of its classes.
  void write_segment(SumWriter& out) const;
  /// Adds a segment that was written, as if its images were added. Throws SumMisfit if it is of other classes.
  void read_segment(SumReader& in);

  std::uint32_t classes() const noexcept { return classes_; }
  /// That count.
  std::uint64_t places() const noexcept { return sums_.places; }
  /// Nothing without places.
  std::optional<double> accuracy() const;
  /// By class.
  std::vector<std::optional<double>> iou() const;
  std::vector<std::optional<double>> dice() const;
  /// confusion()[label * classes + predicted]: places. Empty with more than kMaxConfusionClasses (metrics.hpp).
  const std::vector<std::uint64_t>& confusion() const noexcept { return sums_.confusion; }

 private:
  struct Counts {
    std::uint64_t right = 0;      // TP
    std::uint64_t labelled = 0;   // TP + FN
    std::uint64_t predicted = 0;  // TP + FP
  };

  struct Sums {
    std::uint64_t places = 0;
    std::uint64_t right = 0;
    std::vector<Counts> of;  // by class
    std::vector<std::uint64_t> confusion;
  };

  void count(std::uint64_t label, std::uint64_t decided, std::uint64_t places);

  std::uint32_t classes_;
  std::optional<std::int64_t> ignored_;
  Sums sums_;
  Sums before_;  // the segment
};

}  // namespace tutti::images
