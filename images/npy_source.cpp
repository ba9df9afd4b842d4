// Images and labels from arrays in files, streamed.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <optional>

#include "images/arrays.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/label_array.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

constexpr std::string_view kImagesWhat = "images";

/// The call that makes images of the array: whole numbers are bytes as a rule, and float32 would be read as 0 to 1.
std::string images_hint(const NpyHeader& header) {
  const bool whole = kind_of_elements(header) == 'i' || kind_of_elements(header) == 'u';
  return whole ? "values from 0 to 255 are saved with numpy.save(path, numpy.ascontiguousarray(x.astype('uint8')))"
               : "save it with numpy.save(path, numpy.ascontiguousarray(x.astype('float32')))";
}

constexpr std::array<std::string_view, 2> kImageTypes{"<f4", "|u1"};

}  // namespace

ImageShape shape_of_images(const OpenArray& array, Layout layout) {
  const InputFile& file = array.file;
  const NpyHeader& header = array.header;
  constexpr std::string_view kHint =
      "images need four axes: (count, channels, height, width), or with 'layout: nhwc' "
      "(count, height, width, channels); for grey images save x[:, None]";
  if (header.shape.size() != 4)
    refuse_array(file.path(), kImagesWhat, fmt::format("its shape is {}, and 4 axes are needed", header.shape_text()),
                 kHint);
  for (std::size_t axis = 1; axis < 4; ++axis)
    if (header.shape[axis] == 0 || header.shape[axis] > std::numeric_limits<std::uint32_t>::max())
      refuse_array(file.path(), kImagesWhat, fmt::format("its shape is {}", header.shape_text()), kHint);
  const auto axis = [&](std::size_t i) { return static_cast<std::uint32_t>(header.shape[i]); };
  return layout == Layout::nchw ? ImageShape{axis(1), axis(2), axis(3)} : ImageShape{axis(3), axis(1), axis(2)};
}

RecordFile open_images(OpenArray array) {
  const std::string hint = images_hint(array.header);
  return open_rows(std::move(array), kImagesWhat, kImageTypes, 4, hint);
}

namespace {

class Npy final : public Source {
 public:
  Npy(OpenArray images, const std::filesystem::path& labels, Layout layout, std::uint32_t classes)
      : layout_(layout),
        bytes_(images.header.descr == "|u1"),
        classes_(classes),
        shape_(shape_of_images(images, layout)),
        remark_(std::move(images.remark)),
        images_(open_images(std::move(images))) {
    if (!labels.empty()) labels_.emplace(labels, images_.count(), "image", classes);
  }

  std::string name() const override { return fmt::format("npy {}", images_.path().string()); }
  ImageShape shape() const override { return shape_; }
  std::uint64_t count() const override { return images_.count(); }
  std::uint32_t classes() const override { return labels_ ? labels_->classes() : classes_; }
  bool labelled() const override { return labels_.has_value(); }
  std::string class_name(std::uint32_t label) const override { return labels_ ? labels_->class_name(label) : ""; }
  std::vector<std::string> remarks() const override {
    return remark_.empty() ? std::vector<std::string>{} : std::vector{remark_};
  }

  bool has_bytes() const override { return bytes_; }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    read_as(indices, pixels, labels, [this](std::span<const std::byte> record, std::size_t place) {
      if (bytes_) return kUnitFloats[static_cast<std::uint8_t>(record[place])];
      float number;
      std::memcpy(&number, &record[place * sizeof number], sizeof number);
      return number;
    });
  }
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override {
    read_as(indices, pixels, labels, [](std::span<const std::byte> record, std::size_t place) {
      return static_cast<std::uint8_t>(record[place]);
    });
  }

 private:
  template <class Value, class ValueAt>
  void read_as(std::span<const std::uint64_t> indices, std::span<Value> pixels, std::span<std::int64_t> labels,
               ValueAt value) {
    const std::size_t elements = shape_.elements();
    assert(pixels.size() == indices.size() * elements);
    images_.read(indices, 0, [&](std::size_t i, std::span<const std::byte> record) {
      convert(record, pixels.subspan(i * elements, elements), value);
    });
    if (!labels.empty()) labels_->read(indices, labels);
  }

  template <class Value, class ValueAt>
  void convert(std::span<const std::byte> record, std::span<Value> image, ValueAt value) const {
    if (layout_ == Layout::nchw) {
      for (std::size_t place = 0; place < image.size(); ++place) image[place] = value(record, place);
      return;
    }
    const std::size_t plane = std::size_t{shape_.height} * shape_.width;
    for (std::size_t pixel = 0; pixel < plane; ++pixel)
      for (std::size_t channel = 0; channel < shape_.channels; ++channel)
        image[channel * plane + pixel] = value(record, pixel * shape_.channels + channel);
  }

  Layout layout_;
  bool bytes_;  ///< uint8 instead of float32
  std::uint32_t classes_;
  ImageShape shape_;
  std::string remark_;
  RecordFile images_;
  std::optional<LabelArray> labels_;
};

}  // namespace

std::unique_ptr<Source> make_npy(const std::filesystem::path& images, const std::filesystem::path& labels,
                                 Layout layout, std::uint32_t classes, ReadLabels read) {
  return std::make_unique<Npy>(open_array(images), read == ReadLabels::yes ? labels : std::filesystem::path(), layout,
                               classes);
}

}  // namespace tutti::images
