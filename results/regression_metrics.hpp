// The quality of predicted numbers: mean absolute error, mean squared error, R2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "results/exact_sum.hpp"

namespace tutti::images {

/// Sums over all images that were added: however they are cut into calls and segments, the figures have the same bits.
/// With y the labels, p the predictions
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

  /// What is added from now on is one segment. Call it for each that is written.
  void begin_segment();
  /// The errors of this segment: one sum for each output.
  void write_segment(SumWriter& out) const;
  /// Adds a segment that was written. Its labels are not in it: add_labels() must follow. Throws SumMisfit if it is of
  /// another number of outputs.
  void read_segment(SumReader& in);
  /// The labels of a segment that was read, in the order of its images, in one call or several of whole images.
  void add_labels(std::span<const float> labels);

  std::uint64_t images() const noexcept { return done_.images + segment_.images; }
  /// Labels that count: images x outputs.
  std::uint64_t values() const noexcept { return images() * labels_.size(); }
  // Nothing without images.
  std::optional<double> mean_absolute_error() const;
  std::optional<double> mean_squared_error() const;
  /// Nothing for a single image, which has no spread.
  std::optional<double> r2() const;

 private:
  struct Label {
    double mean = 0.0;
    double spread = 0.0;  // sum of the squared distances from the mean
  };
  struct Errors {
    std::uint64_t images = 0;
    ExactSum absolute;              // of all outputs
    std::vector<ExactSum> squares;  // by output

    void add(const Errors& later);
  };
  /// Of one output, from the sums of squared distances and errors.
  static double r2_of(double spread, double squares);

  /// Of all segments.
  Errors all() const;

  std::uint64_t labelled_ = 0;  // images
  std::vector<Label> labels_;   // by output
  Errors done_;                 // of the segments before the current one
  Errors segment_;              // of the current one
};

}  // namespace tutti::images
