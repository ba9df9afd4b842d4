#include "results/regression_metrics.hpp"

#include <cassert>
#include <cmath>

namespace tutti::images {

RegressionMetrics::RegressionMetrics(std::size_t outputs)
    : labels_(outputs), done_{0, {}, std::vector<ExactSum>(outputs)}, segment_(done_) {
  assert(outputs > 0);
}

void RegressionMetrics::add(std::span<const float> labels, std::span<const float> predicted) {
  const std::size_t outputs = labels_.size();
  assert(labels.size() == predicted.size());
  add_labels(labels);
  for (std::size_t first = 0; first < labels.size(); first += outputs) {
    ++segment_.images;
    double absolute = 0.0;  // of one image, which no cut divides
    for (std::size_t i = 0; i < outputs; ++i) {
      const double error = static_cast<double>(predicted[first + i]) - static_cast<double>(labels[first + i]);
      absolute += std::fabs(error);
      segment_.squares[i].add(error * error);
    }
    segment_.absolute.add(absolute);
  }
}

void RegressionMetrics::add_labels(std::span<const float> labels) {
  const std::size_t outputs = labels_.size();
  assert(labels.size() % outputs == 0);
  for (std::size_t first = 0; first < labels.size(); first += outputs) {
    ++labelled_;
    for (std::size_t i = 0; i < outputs; ++i) {
      const auto label = static_cast<double>(labels[first + i]);
      const double from_mean = label - labels_[i].mean;
      labels_[i].mean += from_mean / static_cast<double>(labelled_);
      labels_[i].spread += from_mean * (label - labels_[i].mean);
    }
  }
}

void RegressionMetrics::Errors::add(const Errors& later) {
  images += later.images;
  absolute.add(later.absolute);
  for (std::size_t i = 0; i < squares.size(); ++i) squares[i].add(later.squares[i]);
}

void RegressionMetrics::begin_segment() {
  done_.add(segment_);
  segment_ = {0, {}, std::vector<ExactSum>(labels_.size())};
}

RegressionMetrics::Errors RegressionMetrics::all() const {
  Errors errors = done_;
  errors.add(segment_);
  return errors;
}

void RegressionMetrics::write_segment(SumWriter& out) const {
  out.count(segment_.squares.size());
  out.count(segment_.images);
  segment_.absolute.write(out);
  for (const ExactSum& squares : segment_.squares) squares.write(out);
}

void RegressionMetrics::read_segment(SumReader& in) {
  begin_segment();
  if (in.count() != segment_.squares.size()) throw SumMisfit{};
  segment_.images = in.count();
  segment_.absolute.read(in);
  for (ExactSum& squares : segment_.squares) squares.read(in);
}

std::optional<double> RegressionMetrics::mean_absolute_error() const {
  if (images() == 0) return std::nullopt;
  return all().absolute.value() / static_cast<double>(values());
}

std::optional<double> RegressionMetrics::mean_squared_error() const {
  if (images() == 0) return std::nullopt;
  double sum = 0.0;
  for (const ExactSum& squares : all().squares) sum += squares.value();
  return sum / static_cast<double>(values());
}

std::optional<double> RegressionMetrics::r2() const {
  if (images() < 2) return std::nullopt;
  const Errors errors = all();
  double sum = 0.0;
  for (std::size_t i = 0; i < labels_.size(); ++i) sum += r2_of(labels_[i].spread, errors.squares[i].value());
  return sum / static_cast<double>(labels_.size());
}

double RegressionMetrics::r2_of(double spread, double squares) {
  if (spread > 0.0) return 1.0 - squares / spread;
  if (std::isnan(squares)) return squares;
  return squares == 0.0 ? 1.0 : 0.0;
}

}  // namespace tutti::images
