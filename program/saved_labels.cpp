#include "program/saved_labels.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

namespace tutti::program {
namespace {

/// So many labels are read at a time, if one image has fewer.
constexpr std::size_t kLabelsAtATime = 65536;

images::NpyType type_of(const TensorLayout& layout) {
  return layout.dtype == Dtype::int64 ? images::NpyType::int64 : images::NpyType::float32;
}

std::vector<std::uint64_t> all_sizes(std::uint64_t images, const Dims& label) {
  std::vector<std::uint64_t> sizes{images};
  sizes.insert(sizes.end(), label.begin(), label.end());
  return sizes;
}

}  // namespace

bool has_other_labels(const Source& source) { return !source.labelled() && source.label_layout().has_value(); }

SavedLabels::SavedLabels(const std::filesystem::path& folder, Source& source, std::unique_ptr<images::ResultSink> next)
    : source_(source),
      layout_(source.label_layout().value()),
      labels_(folder / "labels.npy", type_of(layout_), all_sizes(source.count(), layout_.dims)),
      next_(std::move(next)) {}

void SavedLabels::write(const SegmentResult& result) {
  next_->write(result);
  const std::size_t each = layout_.elements();
  const std::size_t part = std::max<std::size_t>(1, kLabelsAtATime / each);
  for (std::size_t first = 0; first < result.count; first += part) {
    indices_.resize(std::min<std::size_t>(part, result.count - first));
    std::iota(indices_.begin(), indices_.end(), result.first + first);
    if (layout_.dtype == Dtype::int64) {
      classes_.resize(indices_.size() * each);
      source_.read_labels(indices_, std::as_writable_bytes(std::span(classes_)));
      labels_.write(classes_);
    } else {
      numbers_.resize(indices_.size() * each);
      source_.read_labels(indices_, std::as_writable_bytes(std::span(numbers_)));
      labels_.write(numbers_);
    }
  }
  images_ += result.count;
}

void SavedLabels::finish() {
  labels_.finish();
  images::remove_partial(images::partial_of(labels_.path()));
  next_->finish();
}

void SavedLabels::finish_partial() {
  if (images_ > 0) labels_.finish_partial(images::partial_of(labels_.path()), images_);
  next_->finish_partial();
}

}  // namespace tutti::program
