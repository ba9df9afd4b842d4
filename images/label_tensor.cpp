#include "images/label_tensor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/array_path.hpp"
#include "common/counted.hpp"
#include "images/arrays.hpp"
#include "images/planes.hpp"
#include "images/tiles.hpp"

namespace tutti::images {
namespace {

constexpr std::string_view kTensorLabels = "labels";
/// So many labels are read at a time.
constexpr std::uint64_t kValuesAtATime = 65536;
/// What classes may be, then what else numbers may be.
constexpr std::array<std::string_view, 6> kTypesOfLabels{"<i8", "<i4", "|u1", "|b1", "<f4", "<f8"};
constexpr std::size_t kTypesOfClasses = 4;

template <class Number>
Number number_at(std::span<const std::byte> record, std::size_t place) {
  Number number;
  std::memcpy(&number, &record[place * sizeof number], sizeof number);
  return number;
}

/// The labels of the images, one record each.
class LabelTensor {
 public:
  LabelTensor(const LabelFile& labels, std::uint64_t images) : LabelTensor(labels, open_array(labels.file), images) {}

  const TensorLayout& layout() const noexcept { return layout_; }
  std::uint32_t classes() const noexcept { return classes_; }

  void read(std::span<const std::uint64_t> indices, std::span<std::byte> labels) {
    assert(labels.size() == indices.size() * layout_.bytes());
    if (layout_.dtype == Dtype::int64)
      read_as<std::int64_t>(indices, labels);
    else
      read_as<float>(indices, labels);
  }
  /// The classes of one image at its places from `first` on.
  void read_part(std::uint64_t image, std::uint64_t first, std::span<std::int64_t> labels) {
    assert(form_ == LabelForm::classes);
    const std::size_t bytes = bytes_of_label();
    part_.resize(labels.size() * bytes);
    records_.copy_part(image, first * bytes, part_);
    for (std::size_t place = 0; place < labels.size(); ++place) {
      labels[place] = value<std::int64_t>(part_, place);
      check_class(labels[place], image, first + place);
    }
  }
  const std::filesystem::path& path() const noexcept { return records_.path(); }

 private:
  LabelTensor(const LabelFile& labels, OpenArray array, std::uint64_t images)
      : form_(labels.form),
        ignored_(labels.ignored),
        limit_(labels.classes == 0 ? std::numeric_limits<std::int32_t>::max() : labels.classes),
        descr_(array.header.descr),
        layout_(layout_of(array)),
        records_(open(std::move(array))) {
    if (records_.count() != images)
      refuse_array(records_.path(), kTensorLabels,
                   fmt::format("it has labels for {}, and there are {}", counted(records_.count(), "image"), images),
                   "give the labels of every image");
    check_all();
    classes_ = labels.classes == 0 ? static_cast<std::uint32_t>(largest_ + 1) : labels.classes;
    if (form_ != LabelForm::classes) classes_ = 0;
  }

  TensorLayout layout_of(const OpenArray& array) const {
    const NpyHeader& header = array.header;
    TensorLayout layout;
    layout.dtype = form_ == LabelForm::classes ? Dtype::int64 : Dtype::float32;
    const bool fits = !header.shape.empty() && header.shape.size() <= tutti::kMaxRank + 1 &&
                      std::all_of(header.shape.begin() + 1, header.shape.end(), [](std::uint64_t size) {
                        return size > 0 && size <= std::numeric_limits<std::uint32_t>::max();
                      });
    if (!fits)
      refuse_array(array.file.path(), kTensorLabels, fmt::format("its shape is {}", header.shape_text()),
                   fmt::format("the first axis counts the images, and at most {} follow it", tutti::kMaxRank));
    for (std::size_t axis = 1; axis < header.shape.size(); ++axis)
      layout.dims.push_back(static_cast<std::uint32_t>(header.shape[axis]));
    return layout;
  }

  RecordFile open(OpenArray array) const {
    const std::size_t rank = array.header.shape.size();
    const bool classes = form_ == LabelForm::classes;
    return open_rows(std::move(array), kTensorLabels,
                     std::span(kTypesOfLabels).first(classes ? kTypesOfClasses : kTypesOfLabels.size()), rank,
                     classes ? "save masks with numpy.save(path, numpy.ascontiguousarray(y.astype('int64')))"
                             : "save them with numpy.save(path, numpy.ascontiguousarray(y.astype('float32')))");
  }

  template <class To>
  void read_as(std::span<const std::uint64_t> indices, std::span<std::byte> labels) {
    records_.read(indices, 0, [&](std::size_t i, std::span<const std::byte> record) {
      for (std::size_t place = 0; place < layout_.elements(); ++place) {
        const To label = value<To>(record, place);
        if constexpr (std::is_same_v<To, float>)
          check_number(label, indices[i], place);
        else
          check_class(label, indices[i], place);
        std::memcpy(&labels[(i * layout_.elements() + place) * sizeof label], &label, sizeof label);
      }
    });
  }

  template <class To>
  To value(std::span<const std::byte> record, std::size_t place) const {
    if (descr_ == "<i8") return static_cast<To>(number_at<std::int64_t>(record, place));
    if (descr_ == "<i4") return static_cast<To>(number_at<std::int32_t>(record, place));
    if (descr_ == "<f4") return static_cast<To>(number_at<float>(record, place));
    if (descr_ == "<f8") return static_cast<To>(number_at<double>(record, place));
    const auto byte = number_at<std::uint8_t>(record, place);
    return static_cast<To>(descr_ == "|b1" && byte != 0 ? 1 : byte);
  }

  /// In the file, of classes.
  std::size_t bytes_of_label() const { return descr_ == "<i8" ? 8 : descr_ == "<i4" ? 4 : 1; }

  void check_class(std::int64_t label, std::uint64_t image, std::size_t place) {
    if (label == ignored_) return;
    if (label < 0 || label >= limit_)
      refuse_array(records_.path(), kTensorLabels,
                   fmt::format("the label of image {} at place {} is {}, and labels are 0 to {}", image, place, label,
                               limit_ - 1),
                   fmt::format("number the classes from 0, or correct `classes`; if {} marks places to leave out, set "
                               "'ignore_index: {}'",
                               label, label));
    largest_ = std::max(largest_, label);
  }

  void check_number(float label, std::uint64_t image, std::size_t place) const {
    const bool indicators = form_ == LabelForm::indicators;
    if (indicators ? label == 0.0F || label == 1.0F : std::isfinite(label)) return;
    const std::string what = fmt::format("label {} of image {} is {}", place, image, label);
    if (indicators)
      refuse_array(records_.path(), kTensorLabels,
                   fmt::format("{}, and with 'activation: sigmoid' each of several labels is 0 or 1", what),
                   "save a 1 for each label that is right, and a 0 for the others");
    refuse_array(records_.path(), kTensorLabels, fmt::format("{} in float32", what),
                 "leave images without a label out, or scale the values");
  }

  void check_all() {
    if (form_ == LabelForm::classes && layout_.elements() > kValuesAtATime) return check_large();
    const std::uint64_t part = std::max<std::uint64_t>(1, kValuesAtATime / layout_.elements());
    std::vector<std::uint64_t> indices;
    std::vector<std::byte> labels;
    for (std::uint64_t first = 0; first < records_.count(); first += part) {
      indices.resize(std::min(part, records_.count() - first));
      labels.resize(indices.size() * layout_.bytes());
      std::iota(indices.begin(), indices.end(), first);
      read(indices, labels);
    }
  }

  /// Images whose labels are too many to be read at once.
  void check_large() {
    std::vector<std::int64_t> labels;
    for (std::uint64_t image = 0; image < records_.count(); ++image)
      for (std::uint64_t first = 0; first < layout_.elements(); first += kValuesAtATime) {
        labels.resize(std::min(kValuesAtATime, layout_.elements() - first));
        read_part(image, first, labels);
      }
  }

  LabelForm form_;
  std::optional<std::int64_t> ignored_;
  std::int64_t limit_;
  std::string descr_;
  TensorLayout layout_;
  RecordFile records_;
  std::vector<std::byte> part_;
  std::int64_t largest_ = -1;
  std::uint32_t classes_ = 0;
};

class Labelled final : public Forwarding {
 public:
  Labelled(std::unique_ptr<Source> source, const LabelFile& labels)
      : Forwarding(*source), owned_(std::move(source)), labels_(labels, owned_->count()) {}

  std::uint32_t classes() const override { return labels_.classes(); }
  std::optional<TensorLayout> label_layout() const override { return labels_.layout(); }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    labels_.read(indices, labels);
  }

 private:
  std::unique_ptr<Source> owned_;
  LabelTensor labels_;
};

/// A label for each place of large inputs.
class MaskArray final : public InputMasks {
 public:
  MaskArray(const LabelFile& labels, std::uint64_t inputs, const Dims& sizes) : labels_(labels, inputs) {
    Dims places = labels_.layout().dims;
    Dims wanted = sizes;
    std::erase(places, 1U);
    std::erase(wanted, 1U);
    if (places != wanted)
      refuse_array(
          labels_.path(), "masks of large inputs",
          labels_.layout().dims.empty()
              ? fmt::format("it has one label for each input, which is {}", dims_text(sizes))
              : fmt::format("its masks are {}, and the inputs {}", dims_text(labels_.layout().dims), dims_text(sizes)),
          "give a class for each place of each input: inputs x sizes, without channels");
  }

  std::string name() const override { return labels_.path().string(); }
  std::uint32_t classes() const override { return labels_.classes(); }
  void read(std::uint64_t index, std::uint64_t first, std::span<std::int64_t> labels) override {
    labels_.read_part(index, first, labels);
  }

 private:
  LabelTensor labels_;
};

}  // namespace

std::unique_ptr<InputMasks> open_masks(const LabelFile& labels, std::uint64_t inputs, const Dims& sizes) {
  return std::make_unique<MaskArray>(labels, inputs, sizes);
}

bool is_label_tensor(const LabelFile& labels) {
  if (labels.file.empty() || labels.form != LabelForm::classes) return !labels.file.empty();
  // A column of a table has one entry for each sample, which may be a name.
  if (format_of_array(array_path(labels.file).file) == ArrayFormat::csv && !labels.ignored) return false;
  const OpenArray array = open_array(labels.file);
  const std::vector<std::uint64_t>& shape = array.header.shape;
  const bool one_each = shape.size() < 2 || (shape.size() == 2 && shape[1] == 1);
  if (one_each && labels.ignored)
    refuse_array(array.file.path(), "masks", fmt::format("its shape is {}", array.header.shape_text()),
                 "leave 'ignore_index' out: it marks places of masks, and these are labels of whole images");
  return !one_each && kind_of_elements(array.header) != 'f';
}

std::unique_ptr<Source> with_label_tensor(std::unique_ptr<Source> source, const LabelFile& labels) {
  assert(!source->labelled());
  return std::make_unique<Labelled>(std::move(source), labels);
}

std::unique_ptr<Source> with_labels(const LabelFile& labels,
                                    const std::function<std::unique_ptr<Source>(ReadLabels)>& open) {
  if (!is_label_tensor(labels)) return open(ReadLabels::yes);
  return with_label_tensor(open(ReadLabels::no), labels);
}

}  // namespace tutti::images
