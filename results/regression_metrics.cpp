#include "results/regression_metrics.hpp"

#include <cassert>
#include <cmath>

namespace tutti::images {

RegressionMetrics::RegressionMetrics(std::size_t outputs) : of_(outputs) { assert(outputs > 0); }

void RegressionMetrics::add(std::span<const float> labels, std::span<const float> predicted) {
  assert(labels.size() == predicted.size() && labels.size() % of_.size() == 0);
  for (std::size_t first = 0; first < labels.size(); first += of_.size()) {
    ++images_;
    for (std::size_t i = 0; i < of_.size(); ++i)
      add_one(of_[i], static_cast<double>(labels[first + i]), static_cast<double>(predicted[first + i]));
  }
}

void RegressionMetrics::add_one(Output& output, double label, double predicted) {
  const double error = predicted - label;
  absolute_ += std::fabs(error);
  output.squares += error * error;
  const double from_mean = label - output.mean;
  output.mean += from_mean / static_cast<double>(images_);
  output.spread += from_mean * (label - output.mean);
}

std::optional<double> RegressionMetrics::mean_absolute_error() const {
  if (images_ == 0) return std::nullopt;
  return absolute_ / static_cast<double>(values());
}

std::optional<double> RegressionMetrics::mean_squared_error() const {
  if (images_ == 0) return std::nullopt;
  double sum = 0.0;
  for (const Output& output : of_) sum += output.squares;
  return sum / static_cast<double>(values());
}

std::optional<double> RegressionMetrics::r2() const {
  if (images_ < 2) return std::nullopt;
  double sum = 0.0;
  for (const Output& output : of_) sum += r2_of(output);
  return sum / static_cast<double>(of_.size());
}

double RegressionMetrics::r2_of(const Output& output) {
  if (output.spread > 0.0) return 1.0 - output.squares / output.spread;
  if (std::isnan(output.squares)) return output.squares;
  return output.squares == 0.0 ? 1.0 : 0.0;
}

}  // namespace tutti::images
