// The quality of predicted numbers: mean absolute error, mean squared error, R2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tutti::images {

/// Sums in float64 over all images that were added, one after the other: however the images are cut into calls, the
/// figures are the same. With y the labels, p the predictions and m the mean of y over the images, for each output:
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

  std::uint64_t images() const noexcept { return images_; }
  /// Labels that count: images x outputs.
  std::uint64_t values() const noexcept { return images_ * of_.size(); }
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

  static double r2_of(const Output& output);
  void add_one(Output& output, double label, double predicted);

  std::uint64_t images_ = 0;
  double absolute_ = 0.0;  // sum of the absolute errors
  std::vector<Output> of_;
};

}  // namespace tutti::images
