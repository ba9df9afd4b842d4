// Accuracy, loss, calibration error and confusion matrix.
#include "results/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <tutti/error.hpp>

#include "common/counted.hpp"

namespace tutti::images {
namespace {

void check_class(const char* what, std::int64_t value, std::uint64_t image, std::uint32_t classes) {
  if (value < 0 || value >= std::int64_t{classes})
    throw Error(ErrorKind::usage, fmt::format("the {} of image {} is {}", what, image, value),
                fmt::format("the predictions have {}, so classes are 0 to {}", counted(classes, "class"),
                            std::int64_t{classes} - 1),
                "give images whose labels are classes of the models");
}

std::size_t bin_of(double confidence) {
  // The upper limit belongs to a bin; 0 and a NaN fall into the first one, whose sum then keeps the NaN.
  const double place = std::ceil(confidence * static_cast<double>(kCalibrationBins));
  return place > 1.0 ? std::min(static_cast<std::size_t>(std::min(place, 1e6)), kCalibrationBins) - 1 : 0;
}

}  // namespace

Metrics::Metrics(std::uint32_t classes)
    : classes_(classes),
      images_of_(classes),
      correct_of_(classes),
      confusion_(classes <= kMaxConfusionClasses ? std::size_t{classes} * classes : 0) {}

void Metrics::add(std::span<const std::int64_t> labels, std::span<const float> values,
                  std::span<const std::int64_t> predicted, ScoreKind kind) {
  assert(values.size() == labels.size() * classes_ && predicted.size() == labels.size());
  ClassShares scores;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    scores.take(values.subspan(i * classes_, classes_), kind);
    add(labels[i], scores, predicted[i]);
  }
}

void Metrics::add(std::int64_t label, const ClassShares& scores, std::int64_t predicted) {
  assert(scores.classes() == classes_);
  check_class("label", label, seen_, classes_);
  check_class("predicted class", predicted, seen_, classes_);
  const auto wanted = static_cast<std::size_t>(label);
  const auto decided = static_cast<std::size_t>(predicted);
  const double loss = scores.loss(wanted);
  const double confidence = scores.share(decided);
  const std::size_t bin = bin_of(confidence);
  segment_.images.push_back(
      {static_cast<std::uint32_t>(label), static_cast<std::uint32_t>(predicted), static_cast<std::uint32_t>(bin)});
  segment_.loss_sum.add(loss);
  segment_.confidence_sums[bin].add(confidence);
  loss_sum_.add(loss);
  bins_[bin].confidence_sum.add(confidence);
  count(segment_.images.back());
}

void Metrics::count(const Decided& image) {
  const bool correct = image.label == image.predicted;
  correct_ += correct ? 1 : 0;
  ++images_of_[image.label];
  correct_of_[image.label] += correct ? 1 : 0;
  if (!confusion_.empty()) ++confusion_[std::size_t{image.label} * classes_ + image.predicted];
  ++bins_[image.bin].images;
  bins_[image.bin].correct += correct ? 1 : 0;
  ++images_;
  ++seen_;
}

void Metrics::begin_segment() {
  segment_.images.clear();
  segment_.loss_sum = {};
  segment_.confidence_sums = {};
}

void Metrics::write_segment(SumWriter& out) const {
  out.count(classes_);
  out.count(segment_.images.size());
  std::array<bool, kCalibrationBins> used{};
  for (const Decided& image : segment_.images) {
    out.count(image.label);
    out.count(image.predicted);
    out.count(image.bin);
    used[image.bin] = true;
  }
  segment_.loss_sum.write(out);
  for (std::size_t bin = 0; bin < kCalibrationBins; ++bin)
    if (used[bin]) segment_.confidence_sums[bin].write(out);
}

void Metrics::read_segment(SumReader& in) {
  begin_segment();
  if (classes_ == 0 || in.count() != classes_) throw SumMisfit{};
  std::array<bool, kCalibrationBins> used{};
  for (std::uint64_t left = in.count(); left > 0; --left) {
    Decided image;
    image.label = static_cast<std::uint32_t>(in.count(classes_ - 1));
    image.predicted = static_cast<std::uint32_t>(in.count(classes_ - 1));
    image.bin = static_cast<std::uint32_t>(in.count(kCalibrationBins - 1));
    used[image.bin] = true;
    segment_.images.push_back(image);
  }
  segment_.loss_sum.read(in);
  for (std::size_t bin = 0; bin < kCalibrationBins; ++bin)
    if (used[bin]) segment_.confidence_sums[bin].read(in);
  for (const Decided& image : segment_.images) count(image);
  loss_sum_.add(segment_.loss_sum);
  for (std::size_t bin = 0; bin < kCalibrationBins; ++bin) bins_[bin].confidence_sum.add(segment_.confidence_sums[bin]);
}

std::optional<double> Metrics::accuracy() const {
  if (images_ == 0) return std::nullopt;
  return static_cast<double>(correct_) / static_cast<double>(images_);
}

std::optional<double> Metrics::loss() const {
  if (images_ == 0) return std::nullopt;
  return loss_sum_.value() / static_cast<double>(images_);
}

std::optional<double> Metrics::calibration_error() const {
  if (images_ == 0) return std::nullopt;
  double sum = 0.0;
  for (const Bin& bin : bins_) sum += std::fabs(static_cast<double>(bin.correct) - bin.confidence_sum.value());
  return sum / static_cast<double>(images_);
}

std::vector<std::optional<double>> Metrics::per_class_accuracy() const {
  std::vector<std::optional<double>> result(classes_);
  for (std::size_t label = 0; label < classes_; ++label)
    if (images_of_[label] > 0)
      result[label] = static_cast<double>(correct_of_[label]) / static_cast<double>(images_of_[label]);
  return result;
}

}  // namespace tutti::images
