// The quality of predictions: accuracy, loss, calibration error and the confusion matrix, over images. It does not
// choose the class: the combine rule does that, and ties of a vote cannot be read from the scores.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "results/class_shares.hpp"
#include "results/exact_sum.hpp"

namespace tutti::images {

/// Up to this many classes a confusion matrix is kept: its size is their square, and a larger one is hard to read.
constexpr std::uint32_t kMaxConfusionClasses = 1000;

/// Bins of the calibration error.
constexpr std::size_t kCalibrationBins = 15;

/// Sums over all images that were added. They are exact (exact_sum.hpp): however the images are cut into calls and
/// segments, the figures have the same bits. A value; one thread.
class Metrics {
 public:
  explicit Metrics(std::uint32_t classes);

  /// `labels` and `predicted` hold one class per image, `values` one score per image and class, row-major. Throws
  /// Error(usage) that names the image (counted from 0 over all calls, skip() included) if a label or a predicted
  /// class is out of range.
  void add(std::span<const std::int64_t> labels, std::span<const float> values, std::span<const std::int64_t> predicted,
           ScoreKind kind);
  /// The same of one image, whose scores were taken into `scores`.
  void add(std::int64_t label, const ClassShares& scores, std::int64_t predicted);
  /// Images without an answer: they are left out of everything, and only counted on the way.
  void skip(std::uint64_t images) noexcept { seen_ += images; }

  /// What is added from now on is one segment. Call it for each: the class and the bin of every image in the segment
  /// are kept until the next call.
  void begin_segment();
  /// The sums of this segment: its images' labels, classes and bins, 3 bytes each with few classes, and the losses and
  /// confidences.
  void write_segment(SumWriter& out) const;
  /// Adds a segment that was written, as if its images were added. Throws SumMisfit if it is of other classes.
  void read_segment(SumReader& in);

  std::uint64_t images() const noexcept { return images_; }
  /// correct / images; nothing without images.
  std::optional<double> accuracy() const;
  /// The mean negative log likelihood of the labels (ClassShares::loss). Nothing without images; NaN where a score is
  /// NaN.
  std::optional<double> loss() const;
  /// The expected calibration error: images are put into kCalibrationBins bins of equal width ((m - 1) / 15, m / 15] by
  /// their confidence, the share of the predicted class; the sum over the bins of (images in it / all images) times
  /// |its accuracy - its mean confidence|. Nothing without images; NaN where a score is NaN. (Guo et al., "On
  /// Calibration of Modern Neural Networks", ICML 2017)
  std::optional<double> calibration_error() const;
  /// confusion()[label * classes + predicted]: images. Empty with more than kMaxConfusionClasses classes.
  const std::vector<std::uint64_t>& confusion() const noexcept { return confusion_; }
  std::uint32_t classes() const noexcept { return classes_; }
  /// Per class: its images predicted as it / its images; nothing for a class without images.
  std::vector<std::optional<double>> per_class_accuracy() const;

 private:
  struct Bin {
    std::uint64_t images = 0;
    std::uint64_t correct = 0;
    ExactSum confidence_sum;
  };
  struct Decided {
    std::uint32_t label = 0;
    std::uint32_t predicted = 0;
    std::uint32_t bin = 0;
  };
  struct Segment {
    std::vector<Decided> images;
    ExactSum loss_sum;
    std::array<ExactSum, kCalibrationBins> confidence_sums{};
  };

  void count(const Decided& image);

  std::uint32_t classes_;
  std::uint64_t seen_ = 0;    // images of all calls
  std::uint64_t images_ = 0;  // of add()
  std::uint64_t correct_ = 0;
  ExactSum loss_sum_;
  std::vector<std::uint64_t> images_of_;   // by label
  std::vector<std::uint64_t> correct_of_;  // by label
  std::vector<std::uint64_t> confusion_;
  std::array<Bin, kCalibrationBins> bins_{};
  Segment segment_;
};

}  // namespace tutti::images
