#include "results/regression_metrics.hpp"

#include <cassert>
#include <cmath>

namespace tutti::images {

RegressionMetrics::RegressionMetrics(std::size_t outputs)
    : done_{0, 0.0, std::vector<Output>(outputs)}, segment_(done_) {
  assert(outputs > 0);
}

void RegressionMetrics::add(std::span<const float> labels, std::span<const float> predicted) {
  const std::size_t outputs = segment_.of.size();
  assert(labels.size() == predicted.size() && labels.size() % outputs == 0);
  for (std::size_t first = 0; first < labels.size(); first += outputs) {
    ++segment_.images;
    for (std::size_t i = 0; i < outputs; ++i)
      add_one(segment_.of[i], static_cast<double>(labels[first + i]), static_cast<double>(predicted[first + i]));
  }
}

void RegressionMetrics::add_one(Output& output, double label, double predicted) {
  const double error = predicted - label;
  segment_.absolute += std::fabs(error);
  output.squares += error * error;
  const double from_mean = label - output.mean;
  output.mean += from_mean / static_cast<double>(segment_.images);
  output.spread += from_mean * (label - output.mean);
}

void RegressionMetrics::begin_segment() {
  merge(done_, segment_);
  segment_ = {0, 0.0, std::vector<Output>(segment_.of.size())};
}

void RegressionMetrics::merge(Sums& sums, const Sums& later) {
  if (later.images == 0) return;
  if (sums.images == 0) {
    sums = later;
    return;
  }
  const auto before = static_cast<double>(sums.images);
  const auto more = static_cast<double>(later.images);
  sums.images += later.images;
  sums.absolute += later.absolute;
  for (std::size_t i = 0; i < sums.of.size(); ++i) {
    Output& output = sums.of[i];
    const double apart = later.of[i].mean - output.mean;
    output.mean += apart * (more / (before + more));
    output.spread += later.of[i].spread + apart * apart * (before * (more / (before + more)));
    output.squares += later.of[i].squares;
  }
}

RegressionMetrics::Sums RegressionMetrics::all() const {
  Sums sums = done_;
  merge(sums, segment_);
  return sums;
}

void RegressionMetrics::write_segment(SumWriter& out, bool labels) const {
  out.count(segment_.of.size());
  out.count(segment_.images);
  out.number(segment_.absolute);
  for (const Output& output : segment_.of) {
    out.number(output.squares);
    if (!labels) continue;
    out.number(output.mean);
    out.number(output.spread);
  }
}

void RegressionMetrics::read_segment(SumReader& in, const RegressionMetrics* same) {
  begin_segment();
  if (in.count() != segment_.of.size()) throw SumMisfit{};
  segment_.images = in.count();
  segment_.absolute = in.number();
  for (std::size_t i = 0; i < segment_.of.size(); ++i) {
    Output& output = segment_.of[i];
    output.squares = in.number();
    output.mean = same != nullptr ? same->segment_.of[i].mean : in.number();
    output.spread = same != nullptr ? same->segment_.of[i].spread : in.number();
  }
}

std::optional<double> RegressionMetrics::mean_absolute_error() const {
  if (images() == 0) return std::nullopt;
  return all().absolute / static_cast<double>(values());
}

std::optional<double> RegressionMetrics::mean_squared_error() const {
  if (images() == 0) return std::nullopt;
  double sum = 0.0;
  for (const Output& output : all().of) sum += output.squares;
  return sum / static_cast<double>(values());
}

std::optional<double> RegressionMetrics::r2() const {
  const Sums sums = all();
  if (sums.images < 2) return std::nullopt;
  double sum = 0.0;
  for (const Output& output : sums.of) sum += r2_of(output);
  return sum / static_cast<double>(sums.of.size());
}

double RegressionMetrics::r2_of(const Output& output) {
  if (output.spread > 0.0) return 1.0 - output.squares / output.spread;
  if (std::isnan(output.squares)) return output.squares;
  return output.squares == 0.0 ? 1.0 : 0.0;
}

}  // namespace tutti::images
