#include "evaluation/memory_labels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "common/counted.hpp"
#include "common/tensor_text.hpp"
#include "images/planes.hpp"
#include "images/sources.hpp"

namespace tutti {
namespace {

[[noreturn]] void refuse_labels(std::string message, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, std::move(message), std::move(detail), std::move(hint));
}

template <class Value>
Value at(std::span<const std::byte> bytes, std::size_t place) {
  Value value;
  std::memcpy(&value, &bytes[place * sizeof value], sizeof value);
  return value;
}

std::uint64_t count_of(const TensorView& labels) {
  const std::uint64_t bytes = labels.tensor.layout.bytes();
  const Dtype dtype = labels.tensor.layout.dtype;
  if (dtype != Dtype::int64 && dtype != Dtype::float32)
    refuse_labels("the labels are neither classes nor numbers", layout_text(labels.tensor.layout),
                  "give classes as int64, and numbers as float32");
  if (bytes == 0 || labels.tensor.layout.dims.size() > kMaxRank || labels.bytes.size() % bytes != 0)
    refuse_labels("the labels in memory are not whole", layout_text(labels.tensor.layout),
                  fmt::format("give each sample a label of 0 to {} sizes, all above 0", kMaxRank));
  return labels.bytes.size() / bytes;
}

/// Whether labels are compared as numbers, also if they are whole ones.
bool are_numbers(const config::CombineSpec& combine) {
  return combine.over == OutputKind::values || combine.activation == Activation::sigmoid;
}

void check_count(std::uint64_t labels, std::uint64_t samples) {
  if (labels != samples)
    refuse_labels("samples and labels differ in number",
                  fmt::format("{} with {}", counted(samples, "sample"), counted(labels, "label")),
                  "give one label for each sample, in the same order");
}

/// Labels that are not one class per sample.
class Labelled final : public images::Forwarding {
 public:
  Labelled(std::unique_ptr<Source> source, const TensorView& labels, const config::CombineSpec& combine,
           std::optional<std::int64_t> ignored)
      : Forwarding(*source), owned_(std::move(source)), labels_(labels), layout_(labels.tensor.layout) {
    if (are_numbers(combine)) layout_.dtype = Dtype::float32;
    const std::size_t all = labels.bytes.size() / size_of(labels.tensor.layout.dtype);
    for (std::size_t place = 0; place < all; ++place)
      if (layout_.dtype == Dtype::int64)
        take_class(place, ignored);
      else
        check_number(place, combine.activation == Activation::sigmoid);
  }

  std::uint32_t classes() const override { return classes_; }
  std::optional<TensorLayout> label_layout() const override { return layout_; }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    const std::size_t each = layout_.elements();
    if (layout_.dtype == Dtype::float32)
      for (std::size_t i = 0; i < indices.size() * each; ++i) {
        const float label = number_at(indices[i / each] * each + i % each);
        std::memcpy(&labels[i * sizeof label], &label, sizeof label);
      }
    else
      for (std::size_t i = 0; i < indices.size(); ++i)
        std::ranges::copy(labels_.bytes.subspan(indices[i] * layout_.bytes(), layout_.bytes()),
                          labels.subspan(i * layout_.bytes()).begin());
  }

 private:
  std::string where(std::size_t place) const {
    const std::size_t each = labels_.tensor.layout.elements();
    return fmt::format("of sample {} at place {}", place / each, place % each);
  }

  void take_class(std::size_t place, std::optional<std::int64_t> ignored) {
    const auto label = at<std::int64_t>(labels_.bytes, place);
    if (label == ignored) return;
    if (label < 0 || label >= std::numeric_limits<std::int32_t>::max())
      refuse_labels("a label is not a class", fmt::format("that {} is {}", where(place), label),
                    "number the classes from 0; a label of places that do not count is said by ignore_index");
    classes_ = std::max(classes_, static_cast<std::uint32_t>(label + 1));
  }

  float number_at(std::size_t place) const {
    return labels_.tensor.layout.dtype == Dtype::float32 ? at<float>(labels_.bytes, place)
                                                         : static_cast<float>(at<std::int64_t>(labels_.bytes, place));
  }

  void check_number(std::size_t place, bool of_several) const {
    const float label = number_at(place);
    if (of_several ? label == 0.0F || label == 1.0F : std::isfinite(label)) return;
    refuse_labels(of_several ? "with 'activation: sigmoid', each of several labels is 0 or 1" : "a label is not finite",
                  fmt::format("that {} is {}", where(place), label),
                  of_several ? "give a 1 for each label that is right, and a 0 for the others"
                             : "leave samples without a label out");
  }

  std::unique_ptr<Source> owned_;
  TensorView labels_;
  TensorLayout layout_;  ///< as they are read
  std::uint32_t classes_ = 0;
};

/// A view of one class per sample, which travel with the samples.
std::span<const std::int64_t> classes_in(const TensorView& labels) {
  if (reinterpret_cast<std::uintptr_t>(labels.bytes.data()) % alignof(std::int64_t) != 0)
    refuse_labels("the labels are not aligned in memory", {}, "pass a view of a vector of std::int64_t");
  return {reinterpret_cast<const std::int64_t*>(labels.bytes.data()), labels.bytes.size() / sizeof(std::int64_t)};
}

template <class Given>
std::unique_ptr<Source> labelled(const Given& given, const TensorView& labels, const config::CombineSpec& combine,
                                 std::optional<std::int64_t> ignored) {
  const std::uint64_t count = count_of(labels);
  check_count(count, given.count());
  const TensorLayout& layout = labels.tensor.layout;
  const bool one_class = layout.dtype == Dtype::int64 && layout.dims.empty() && !are_numbers(combine);
  if (layout.dtype == Dtype::int64 && layout.dims == Dims{1} && !are_numbers(combine))
    refuse_labels("the labels are a column, and not one class per sample",
                  "they would be compared as masks of one place each", "pass labels.reshape(-1)");
  if (one_class) return images::make_memory(given, classes_in(labels));
  return std::make_unique<Labelled>(images::make_memory(given), labels, combine, ignored);
}

}  // namespace

std::unique_ptr<Source> with_labels(const Images& images, const TensorView& labels, const config::CombineSpec& combine,
                                    std::optional<std::int64_t> ignored) {
  return labelled(images, labels, combine, ignored);
}

std::unique_ptr<Source> with_labels(const Samples& samples, const TensorView& labels,
                                    const config::CombineSpec& combine, std::optional<std::int64_t> ignored) {
  return labelled(samples, labels, combine, ignored);
}

}  // namespace tutti
