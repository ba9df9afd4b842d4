#include "evaluation/run/saved_labels.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "images/npy.hpp"

namespace tutti {
namespace {

/// So many labels are read at a time, if one image has fewer.
constexpr std::uint64_t kLabelsAtATime = 65536;

template <class Label>
void copy_labels(Source& source, images::NpyWriter& file) {
  const std::uint64_t each = source.label_layout()->elements();
  const std::uint64_t part = std::max<std::uint64_t>(1, kLabelsAtATime / each);
  std::vector<std::uint64_t> indices;
  std::vector<Label> labels;
  for (std::uint64_t first = 0; first < source.count(); first += part) {
    indices.resize(std::min(part, source.count() - first));
    std::iota(indices.begin(), indices.end(), first);
    labels.resize(indices.size() * each);
    source.read_labels(indices, std::as_writable_bytes(std::span(labels)));
    file.write(labels);
  }
}

}  // namespace

bool has_other_labels(const Source& source) { return !source.labelled() && source.label_layout().has_value(); }

void save_labels(const std::filesystem::path& folder, Source& source) {
  const TensorLayout label = source.label_layout().value();
  const bool classes = label.dtype == Dtype::int64;
  std::vector<std::uint64_t> sizes{source.count()};
  sizes.insert(sizes.end(), label.dims.begin(), label.dims.end());
  images::NpyWriter file(folder / "labels.npy", classes ? images::NpyType::int64 : images::NpyType::float32, sizes);
  if (classes)
    copy_labels<std::int64_t>(source, file);
  else
    copy_labels<float>(source, file);
  file.finish();
}

}  // namespace tutti
