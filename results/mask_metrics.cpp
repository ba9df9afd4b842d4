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
      sums_{0, 0, std::vector<Counts>(classes),
            std::vector<std::uint64_t>(classes <= kMaxConfusionClasses ? std::size_t{classes} * classes : 0)},
      before_(sums_) {}

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
    count(label, decided, 1);
  }
}

inline void MaskMetrics::count(std::uint64_t label, std::uint64_t decided, std::uint64_t places) {
  sums_.places += places;
  sums_.of[label].labelled += places;
  sums_.of[decided].predicted += places;
  if (label == decided) {
    sums_.right += places;
    sums_.of[label].right += places;
  }
  if (!sums_.confusion.empty()) sums_.confusion[label * classes_ + decided] += places;
}

void MaskMetrics::write_segment(SumWriter& out) const {
  out.count(classes_);
  for (std::size_t cell = 0; cell < sums_.confusion.size(); ++cell)
    if (const std::uint64_t more = sums_.confusion[cell] - before_.confusion[cell]; more > 0) {
      out.count(cell + 1);
      out.count(more);
    }
  for (std::size_t label = 0; sums_.confusion.empty() && label < classes_; ++label) {
    const Counts& now = sums_.of[label];
    const Counts& before = before_.of[label];
    if (now.labelled == before.labelled && now.predicted == before.predicted) continue;
    out.count(label + 1);
    out.count(now.right - before.right);
    out.count(now.labelled - before.labelled);
    out.count(now.predicted - before.predicted);
  }
  out.count(0);
}

void MaskMetrics::read_segment(SumReader& in) {
  begin_segment();
  if (in.count() != classes_) throw SumMisfit{};
  const bool matrix = !sums_.confusion.empty();
  while (const std::uint64_t next = in.count(matrix ? sums_.confusion.size() : classes_)) {
    if (matrix) {
      count((next - 1) / classes_, (next - 1) % classes_, in.count());
      continue;
    }
    Counts& counts = sums_.of[next - 1];
    const std::uint64_t right = in.count();
    const std::uint64_t labelled = in.count();
    counts.right += right;
    counts.labelled += labelled;
    counts.predicted += in.count();
    sums_.right += right;
    sums_.places += labelled;
  }
}

std::optional<double> MaskMetrics::accuracy() const { return share_of(sums_.right, sums_.places); }

std::vector<std::optional<double>> MaskMetrics::iou() const {
  std::vector<std::optional<double>> result;
  for (const Counts& counts : sums_.of)
    result.push_back(share_of(counts.right, counts.labelled + counts.predicted - counts.right));
  return result;
}

std::vector<std::optional<double>> MaskMetrics::dice() const {
  std::vector<std::optional<double>> result;
  for (const Counts& counts : sums_.of)
    result.push_back(share_of(2 * counts.right, counts.labelled + counts.predicted));
  return result;
}

}  // namespace tutti::images
