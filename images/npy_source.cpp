// Images and labels from .npy arrays, streamed.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>

#include "common/counted.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/npy.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

constexpr std::uint64_t kMostClasses = std::numeric_limits<std::int32_t>::max();

[[noreturn]] void refuse(const std::filesystem::path& path, std::string_view what, std::string detail,
                         std::string_view hint) {
  throw Error(ErrorKind::usage, fmt::format("{} cannot be used as {}", path.string(), what), std::move(detail),
              std::string(hint));
}

struct OpenArray {
  InputFile file;
  NpyHeader header;
};

OpenArray open_array(const std::filesystem::path& path) {
  InputFile file(path);
  NpyHeader header = read_npy_header(file);
  return {std::move(file), std::move(header)};
}

/// 'f', 'i', 'u', 'b': what the elements are, whatever their size and order.
char kind_of(const NpyHeader& header) { return header.descr.size() > 1 ? header.descr[1] : ' '; }

/// The call that makes images of the array: whole numbers are bytes as a rule, and float32 would be read as 0 to 1.
std::string images_hint(const NpyHeader& header) {
  const bool whole = kind_of(header) == 'i' || kind_of(header) == 'u';
  return whole ? "values from 0 to 255 are saved with numpy.save(path, numpy.ascontiguousarray(x.astype('uint8')))"
               : "save it with numpy.save(path, numpy.ascontiguousarray(x.astype('float32')))";
}

/// The call that makes labels of the array, if there is one: nothing rounds what is not a class.
std::string labels_hint(const NpyHeader& header) {
  const auto& shape = header.shape;
  const bool one_each = shape.size() == 2 && shape[1] == 1;
  if (shape.size() > 1 && !one_each)
    return "one row per image in one-hot form is saved as y.argmax(1); several labels per image are not supported: "
           "leave "
           "'labels' out";
  if (kind_of(header) == 'f')
    return fmt::format(
        "if all values are whole numbers of classes, save y{}.astype('int64'); targets that are not "
        "classes are not supported: leave 'labels' out",
        one_each ? "[:, 0]" : "");
  return fmt::format("save it with numpy.save(path, numpy.ascontiguousarray(y{}.astype('int64')))",
                     one_each ? "[:, 0]" : "");
}

std::size_t element_bytes(std::string_view descr) { return static_cast<std::size_t>(descr.back() - '0'); }

// Checks type, order, rank and size of an array, and opens its rows (the first axis) as records.
RecordFile open_rows(OpenArray array, std::string_view what, std::span<const std::string_view> types, std::size_t rank,
                     std::string_view hint) {
  const auto& [file, header] = array;
  const std::filesystem::path& path = file.path();
  if (std::ranges::find(types, header.descr) == types.end())
    refuse(path, what,
           fmt::format("its element type is '{}', and one of '{}' is needed", header.descr, fmt::join(types, "', '")),
           hint);
  if (header.fortran_order) refuse(path, what, "it is in Fortran order, and C order is needed", hint);
  if (header.shape.size() != rank)
    refuse(path, what,
           fmt::format("its shape is {}, and {} needed", header.shape_text(), rank == 1 ? "1 axis is" : "4 axes are"),
           hint);
  std::uint64_t row = element_bytes(header.descr);
  std::uint64_t all = 0;
  bool fits = true;
  for (std::size_t axis = 1; axis < rank; ++axis) fits &= !__builtin_mul_overflow(row, header.shape[axis], &row);
  fits &= !__builtin_mul_overflow(row, header.shape[0], &all);
  const std::uint64_t there = file.size() - header.data_offset;
  if (!fits || all > there)
    refuse(path, what,
           fmt::format("it is truncated: shape {} of '{}' needs {} bytes of data, and {} are there",
                       header.shape_text(), header.descr, fits ? fmt::format("{}", all) : "more than 2^64", there),
           "copy or save it again");
  return RecordFile(std::move(array.file), header.data_offset, row, header.shape[0]);
}

/// The labels' file: opened, and every label checked once.
class NpyLabels {
 public:
  NpyLabels(OpenArray array, std::uint64_t images, std::uint32_t classes)
      : descr_(array.header.descr),
        records_(open_labels(std::move(array))),
        limit_(classes == 0 ? kMostClasses : classes) {
    if (records_.count() != images)
      refuse(records_.path(), kWhat,
             fmt::format("it has {} for {}", counted(records_.count(), "label"), counted(images, "image")),
             "give one label per image");
    const std::int64_t largest = check_all();
    classes_ = classes == 0 ? static_cast<std::uint32_t>(largest + 1) : classes;
  }

  std::uint32_t classes() const noexcept { return classes_; }

  void read(std::span<const std::uint64_t> indices, std::span<std::int64_t> labels) {
    records_.read(indices, 0, [&](std::size_t i, std::span<const std::byte> record) {
      labels[i] = value(record);
      check(indices[i], labels[i]);
    });
  }

 private:
  static constexpr std::string_view kWhat = "labels";
  static constexpr std::array<std::string_view, 3> kTypes{"<i8", "<i4", "|u1"};

  static RecordFile open_labels(OpenArray array) {
    const std::string hint = labels_hint(array.header);
    return open_rows(std::move(array), kWhat, kTypes, 1, hint);
  }

  std::int64_t value(std::span<const std::byte> record) const {
    if (descr_ == "<i8") return load<std::int64_t>(record);
    return descr_ == "<i4" ? load<std::int32_t>(record) : load<std::uint8_t>(record);
  }
  template <class Integer>
  static Integer load(std::span<const std::byte> record) {
    Integer number;
    std::memcpy(&number, record.data(), sizeof number);
    return number;
  }

  void check(std::uint64_t index, std::int64_t label) const {
    if (label < 0 || static_cast<std::uint64_t>(label) >= limit_)
      refuse(records_.path(), kWhat,
             fmt::format("the label of image {} is {}, and labels are 0 to {}", index, label, limit_ - 1),
             "number the classes from 0, or correct `classes`");
  }

  std::int64_t check_all() {
    constexpr std::uint64_t kPart = 4096;
    std::vector<std::uint64_t> indices;
    std::vector<std::int64_t> labels;
    std::int64_t largest = -1;
    for (std::uint64_t first = 0; first < records_.count(); first += kPart) {
      indices.resize(std::min(kPart, records_.count() - first));
      labels.resize(indices.size());
      std::iota(indices.begin(), indices.end(), first);
      read(indices, labels);
      largest = std::max(largest, *std::ranges::max_element(labels));
    }
    return largest;
  }

  std::string descr_;
  RecordFile records_;
  std::uint64_t limit_;
  std::uint32_t classes_ = 0;
};

ImageShape image_shape(const OpenArray& array, Layout layout) {
  const InputFile& file = array.file;
  const NpyHeader& header = array.header;
  constexpr std::string_view kHint =
      "images need four axes: (count, channels, height, width), or with `layout: nhwc` "
      "(count, height, width, channels); for grey images save x[:, None]";
  if (header.shape.size() != 4)
    refuse(file.path(), "images", fmt::format("its shape is {}, and 4 axes are needed", header.shape_text()), kHint);
  for (std::size_t axis = 1; axis < 4; ++axis)
    if (header.shape[axis] == 0 || header.shape[axis] > std::numeric_limits<std::uint32_t>::max())
      refuse(file.path(), "images", fmt::format("its shape is {}", header.shape_text()), kHint);
  const auto axis = [&](std::size_t i) { return static_cast<std::uint32_t>(header.shape[i]); };
  return layout == Layout::nchw ? ImageShape{axis(1), axis(2), axis(3)} : ImageShape{axis(3), axis(1), axis(2)};
}

class Npy final : public Source {
 public:
  Npy(OpenArray images, const std::filesystem::path& labels, Layout layout, std::uint32_t classes)
      : layout_(layout),
        bytes_(images.header.descr == "|u1"),
        classes_(classes),
        shape_(image_shape(images, layout)),
        images_(open_images(std::move(images))) {
    if (!labels.empty()) labels_.emplace(open_array(labels), images_.count(), classes);
  }

  std::string name() const override { return fmt::format("npy {}", images_.path().string()); }
  ImageShape shape() const override { return shape_; }
  std::uint64_t count() const override { return images_.count(); }
  std::uint32_t classes() const override { return labels_ ? labels_->classes() : classes_; }
  bool labelled() const override { return labels_.has_value(); }

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
  static constexpr std::array<std::string_view, 2> kTypes{"<f4", "|u1"};

  static RecordFile open_images(OpenArray array) {
    const std::string hint = images_hint(array.header);
    return open_rows(std::move(array), "images", kTypes, 4, hint);
  }

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
  RecordFile images_;
  std::optional<NpyLabels> labels_;
};

}  // namespace

std::unique_ptr<Source> make_npy(const std::filesystem::path& images, const std::filesystem::path& labels,
                                 Layout layout, std::uint32_t classes) {
  return std::make_unique<Npy>(open_array(images), labels, layout, classes);
}

}  // namespace tutti::images
