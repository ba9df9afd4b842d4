// The quality of predicted numbers: mean absolute error, mean squared error, R2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "results/segment_sums.hpp"

namespace tutti::images {

/// Sums in float64 over all images that were added, one after the other within a segment, then segment after segment:
/// however the images of a segment are cut into calls, the figures are the same. With y the labels, p the predictions
/// and m the mean of y over the images, for each output:
///
///   mean absolute error   the mean of |p - y| over images and outputs
///   mean squared error    the mean of (p - y)^2 over images and outputs
///   R2                    the mean over the outputs of 1 - (sum (p - y)^2) / (sum (y - m)^2)
///
/// These are `mean_absolute_error`, `mean_squared_error` and `r2_score` of scikit-learn with `uniform_average`. As
/// there, an output whose labels are all equal has an R2 of 1 if every prediction is equal to its label, and otherwise
/// of 0. The sum of (y - m)^2 is updated from image to image (Welford, "Note on a Method for Calculating Corrected Sums
/// of Squares and Products", Technometrics 1962), so that labels far from 0 lose no digits. A NaN in a prediction makes
/// the figures NaN. A value; one thread.
class RegressionMetrics {
 public:
  explicit RegressionMetrics(std::size_t outputs);

  /// Whole images: as many labels as predictions, finite, `outputs` for each.
  void add(std::span<const float> labels, std::span<const float> predicted);

  /// What is added from now on is one segment. The sums of segments are merged in their order (Chan, Golub and LeVeque,
  /// "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979), also if they were read.
  void begin_segment();
  /// The sums of this segment: a number for each output, and two more if `labels` asks for those of the labels.
  void write_segment(SumWriter& out, bool labels) const;
  /// Adds a segment that was written, as if its images were added. Without `labels`, those of `same`, which has read
  /// this segment with them, are taken. Throws SumMisfit if it is of another number of outputs.
  void read_segment(SumReader& in, const RegressionMetrics* same);

  std::uint64_t images() const noexcept { return done_.images + segment_.images; }
  /// Labels that count: images x outputs.
  std::uint64_t values() const noexcept { return images() * segment_.of.size(); }
  // Nothing without images.
  std::optional<double> mean_absolute_error() const;
  std::optional<double> mean_squared_error() const;
  /// Nothing for a single image, which has no spread.
  std::optional<double> r2() const;

 private:
  struct Output {
    double mean = 0.0;     // of the labels
    double spread = 0.0;   // sum of the squared distances of the labels from their mean
    double squares = 0.0;  // sum of the squared errors
  };

  struct Sums {
    std::uint64_t images = 0;
    double absolute = 0.0;  // sum of the absolute errors
    std::vector<Output> of;
  };
  static double r2_of(const Output& output);

  void add_one(Output& output, double label, double predicted);
  /// Of all segments.
  Sums all() const;
  static void merge(Sums& sums, const Sums& later);

  Sums done_;     // the segments before the current one
  Sums segment_;  // the current one
};

}  // namespace tutti::images
