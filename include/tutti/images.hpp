// Images in memory, and sources of images and of other samples. No codecs, no files: those are in Tutti's own sources,
// which implement `Source`; a host program may implement it too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

/// Channels x height x width of one image.
struct ImageShape {
  std::uint32_t channels = 0;  ///< colours: 1 or 3 as a rule
  std::uint32_t height = 0;    ///< in pixels
  std::uint32_t width = 0;     ///< in pixels

  /// Values per image.
  std::size_t elements() const noexcept { return std::size_t{channels} * height * width; }
  /// For messages: "3x32x32".
  std::string text() const {
    return std::to_string(channels) + "x" + std::to_string(height) + "x" + std::to_string(width);
  }
  /// As a tensor of three sizes.
  TensorLayout layout(Dtype dtype = Dtype::float32) const { return {dtype, {channels, height, width}}; }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

/// The shape of an image whose tensor is like this; nothing if it has not three sizes.
inline std::optional<ImageShape> image_shape(const TensorLayout& layout) {
  if (layout.dims.size() != 3) return std::nullopt;
  return ImageShape{layout.dims[0], layout.dims[1], layout.dims[2]};
}

/// A view of consecutive images in NCHW order that the caller owns: float32, passed on as they are, or uint8, which
/// become float32 in 0..1. An ensemble whose members prepare bytes themselves (docs/images.md) takes only uint8; if its
/// `input` is a folder, the images are pictures of any size for members that resize them. The memory must stay valid
/// until the call, or the future, that was given the view ends.
class Images {
 public:
  Images() = default;  ///< of no images

  /// Of float32 pixels: whole images, one after the other.
  Images(std::span<const float> pixels, ImageShape shape) : pixels_(pixels), shape_(shape) {}
  /// Of bytes, 0 to 255.
  Images(std::span<const std::uint8_t> pixels, ImageShape shape) : pixels_(pixels), shape_(shape) {}

  /// Of every image of the view.
  ImageShape shape() const noexcept { return shape_; }
  /// Number of whole images in the view; a partial image is an error when the view is used.
  std::size_t count() const noexcept { return shape_.elements() == 0 ? 0 : values() / shape_.elements(); }
  /// Number of values in the view.
  std::size_t values() const noexcept {
    return std::visit([](auto span) { return span.size(); }, pixels_);
  }
  /// The memory of the caller.
  const std::variant<std::span<const float>, std::span<const std::uint8_t>>& pixels() const noexcept { return pixels_; }

 private:
  std::variant<std::span<const float>, std::span<const std::uint8_t>> pixels_;
  ImageShape shape_;
};

/// The name of the tensor of samples that are single images.
inline constexpr const char* kImageTensor = "image";

/// A finite, random-access set of images, with or without labels. Because of random access one set can be streamed in
/// order, shuffled, or limited without a copy. Used by one thread at a time. Samples that are not single images come
/// from a TensorSource.
class TUTTI_API Source {
 public:
  virtual ~Source() = default;

  /// For messages and reports: "digits (test)".
  virtual std::string name() const = 0;
  /// Of every image.
  virtual ImageShape shape() const = 0;
  /// Number of images.
  virtual std::uint64_t count() const = 0;
  /// Number of classes that the labels are drawn from; 0 if it is not known.
  virtual std::uint32_t classes() const = 0;
  /// Whether each image has a class as its label, which read() gives. Labels of other forms: label_layout().
  virtual bool labelled() const = 0;

  /// Writes image `indices[i]` to `pixels[i * shape().elements() ...]` as float32 NCHW, and its label to `labels[i]`.
  /// `indices` are below count() and need not be distinct; `pixels` holds indices.size() images; `labels` is empty or
  /// holds indices.size() values (empty always if the source is not labelled). Throws Error if an image cannot
  /// be read.
  virtual void read(std::span<const std::uint64_t> indices, std::span<float> pixels,
                    std::span<std::int64_t> labels) = 0;

  // Optional: a source need not implement what follows.

  /// Whether the images are bytes 0..255, which read() divides by 255. read_bytes() then gives the bytes themselves, so
  /// that every member can prepare its input from them.
  virtual bool has_bytes() const { return false; }
  /// Like read(), but gives bytes. Called only if has_bytes(); throws Error(usage) otherwise.
  virtual void read_bytes(std::span<const std::uint64_t> /*indices*/, std::span<std::uint8_t> /*pixels*/,
                          std::span<std::int64_t> /*labels*/) {
    throw Error(ErrorKind::usage, name() + " has no bytes to give", {}, "ask has_bytes() first");
  }
  /// What the label of an image is: by default a class (int64, no sizes) if the source is labelled, or nothing. Labels
  /// that are not one class per image are int64 (the classes of a mask) or float32 of any sizes; such a source is not
  /// labelled(), and read_labels() gives them.
  virtual std::optional<TensorLayout> label_layout() const {
    return labelled() ? std::optional(TensorLayout{Dtype::int64, {}}) : std::nullopt;
  }
  /// Writes the labels of the images `indices[i]`, as label_layout() says, one after the other. Called only for labels
  /// that are not one class per image; throws Error(usage) otherwise.
  virtual void read_labels(std::span<const std::uint64_t> /*indices*/, std::span<std::byte> /*labels*/) {
    throw Error(ErrorKind::usage, name() + " has no such labels to give", {}, "ask label_layout() first");
  }
  /// The name of an image, such as that of its file; empty if images only have numbers.
  virtual std::string image_name(std::uint64_t /*index*/) const { return {}; }
  /// The name of a class; empty if classes only have numbers.
  virtual std::string class_name(std::uint32_t /*label*/) const { return {}; }
  /// The number of an image in the whole set, if this source is a part of it that is predicted later, as a resumed run
  /// does. Models that draw random numbers draw the same ones for the same number of a segment's first image.
  virtual std::uint64_t number_of(std::uint64_t index) const { return index; }
  /// Files of the set that cannot be read and that the source was told to leave out; they are not in count().
  virtual std::vector<std::string> skipped() const { return {}; }
  /// What a user should know about the set, one sentence each: files that are no images, classes without images.
  virtual std::vector<std::string> remarks() const { return {}; }

  // What an ensemble takes. Sources of images leave it as it is.

  /// The tensors of a sample, in the order of read_tensors(): by default the image, as bytes if has_bytes().
  virtual std::vector<NamedLayout> tensors() const {
    return {{kImageTensor, shape().layout(has_bytes() ? Dtype::uint8 : Dtype::float32)}};
  }
  /// As read(), but writes tensor t of sample `indices[i]`, as tensors() says, to the i-th part of `tensors[t]`.
  virtual void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                            std::span<std::int64_t> labels) {
    std::byte* const to = tensors[0].data();
    if (has_bytes())
      read_bytes(indices, {reinterpret_cast<std::uint8_t*>(to), tensors[0].size()}, labels);
    else
      read(indices, {reinterpret_cast<float*>(to), tensors[0].size() / sizeof(float)}, labels);
  }
};

/// A source of samples that are named tensors: of other shapes and types than images, or several per sample. It
/// implements tensors() and read_tensors() instead of shape() and read().
class TUTTI_API TensorSource : public Source {
 public:
  std::vector<NamedLayout> tensors() const override = 0;
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override = 0;

  /// All zeros.
  ImageShape shape() const final { return {}; }
  bool has_bytes() const final { return false; }
  /// Throws Error(usage).
  void read(std::span<const std::uint64_t> /*indices*/, std::span<float> /*pixels*/,
            std::span<std::int64_t> /*labels*/) final {
    throw Error(ErrorKind::usage, name() + " has tensors, not images", {}, "use read_tensors()");
  }
};

}  // namespace tutti
