#include "results/mask_metrics.hpp"

#include <fmt/format.h>

#include <cassert>
#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "results/metrics.hpp"

namespace tutti::images {
namespace {

[[noreturn]] void refuse_place(const char* what, std::int64_t value, std::size_t place, std::uint64_t image,
                               std::uint32_t classes) {
  throw Error(
      ErrorKind::usage, fmt::format("the {} of image {} at place {} is {}", what, image, place, value),
      fmt::format("the predictions have {}, so classes are 0 to {}", counted(classes, "class"),
                  std::int64_t{classes} - 1),
      fmt::format("number the classes from 0; if {} marks places to leave out, set 'ignore_index: {}'", value, value));
}

std::optional<double> share_of(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

MaskMetrics::MaskMetrics(std::uint32_t classes, std::optional<std::int64_t> ignored)
    : classes_(classes),
      ignored_(ignored),
      of_(classes),
      confusion_(classes <= kMaxConfusionClasses ? std::size_t{classes} * classes : 0) {}

void MaskMetrics::add(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted,
                      std::uint64_t image) {
  assert(labels.size() == predicted.size());
  for (std::size_t place = 0; place < labels.size(); ++place) {
    if (labels[place] == ignored_) continue;
    // A negative number becomes one that is too large.
    const auto label = static_cast<std::uint64_t>(labels[place]);
    const auto decided = static_cast<std::uint64_t>(predicted[place]);
    if (label >= classes_) refuse_place("label", labels[place], place, image, classes_);
    if (decided >= classes_) refuse_place("predicted class", predicted[place], place, image, classes_);
    ++places_;
    ++of_[label].labelled;
    ++of_[decided].predicted;
    if (label == decided) {
      ++right_;
      ++of_[label].right;
    }
    if (!confusion_.empty()) ++confusion_[label * classes_ + decided];
  }
}

std::optional<double> MaskMetrics::accuracy() const { return share_of(right_, places_); }

std::vector<std::optional<double>> MaskMetrics::iou() const {
  std::vector<std::optional<double>> result;
  for (const Counts& counts : of_)
    result.push_back(share_of(counts.right, counts.labelled + counts.predicted - counts.right));
  return result;
}

std::vector<std::optional<double>> MaskMetrics::dice() const {
  std::vector<std::optional<double>> result;
  for (const Counts& counts : of_) result.push_back(share_of(2 * counts.right, counts.labelled + counts.predicted));
  return result;
}

}  // namespace tutti::images
