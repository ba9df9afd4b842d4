// Resizes images as Pillow does: separable filters whose support is stretched if the image gets smaller (antialiasing);
// bytes in fixed point with the same rounding, so that the bytes are Pillow's. No files, no threads. (The method:
// https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters; checked against its results.)
//
// The width is resized first, then the height. Pillow does the same, with one exception: version 13 begins with the
// height if that loses more than twice as many pixels as the width, and a byte may then differ by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_input.hpp"

namespace tutti {

/// The shape of an image of `from` after `resize`, before it is cropped. `shorter` keeps the proportions and truncates
/// the longer side as torchvision and CLIP's processor do. Throws Error(usage) if a size of 0, or one beyond kMaxSide,
/// would come out.
ImageShape scaled_shape(const Resize& resize, const ImageShape& from);

/// The shape of an image of `from` after `resize`; a crop larger than the image is padded with zeros. Throws as
/// scaled_shape().
ImageShape resized_shape(const Resize& resize, const ImageShape& from);

/// What is done to a decoded picture for a member that asks for `own`, if the pictures' own description says `common`:
/// `own` where it resizes, else `common`, with the crop of `own` if it has one. All pictures come out of it in one
/// shape: a shorter side without a crop is cropped to its square. Two members that want the same get equal values.
Resize resize_of_picture(const Resize& own, const Resize& common);

/// The shape, with 3 channels, that a picture of any size has after `resize`. Throws Error(usage) if that depends on
/// the picture.
ImageShape fixed_shape(const Resize& resize);

/// For people: "shorter side 256, centre 224x224, bicubic".
std::string to_text(const Resize& resize);

/// The first of the `crop` places about the centre of `to`; negative if there are more of them than `to`. torchvision
/// rounds half a place to the even one, but puts the odd zero of a padded image last; transformers rounds down.
std::int64_t crop_offset(std::uint32_t to, std::uint32_t crop, CropRounding rounding);

/// The longest side that an image may be resized to.
constexpr std::uint32_t kMaxSide = 1U << 24;

/// Resizing and cropping along one axis: for each place of the result that is inside the image, the first place of the
/// source that contributes to it, and the weights from there on, `taps` each.
struct ResampleAxis {
  std::uint32_t skip = 0;  ///< places of the result before the image: zeros
  std::uint32_t size = 0;  ///< places of the result inside the image
  std::uint32_t taps = 0;
  bool copies = false;               ///< the result is a run of consecutive places of the source
  std::vector<std::uint32_t> first;  ///< first[i] + taps is at most the source's length
  std::vector<std::int32_t> fixed;   ///< for bytes: with kFractionBits binary digits after the point
  std::vector<float> weights;        ///< for float32
  std::uint32_t begin = 0;           ///< the places of the source that contribute
  std::uint32_t end = 0;

  static constexpr int kFractionBits = 32 - 8 - 2;  ///< 32, less 8 for the value, less 2 for overshoot and sign

  ResampleAxis() = default;
  /// `to`: the length that `from` is resized to, both above 0; `crop`: what is kept about its centre.
  ResampleAxis(Interpolation interpolation, std::uint32_t from, std::uint32_t to, std::uint32_t crop,
               CropRounding rounding = CropRounding::half_even);
};

/// Resizes images of one shape by one rule; the filters are computed once. One thread at a time.
class Resampler {
 public:
  /// Throws as resized_shape().
  Resampler(const Resize& resize, const ImageShape& from);
  const ImageShape& shape() const noexcept { return to_; }  ///< of the result

  /// One image, planes one after another (CHW). `in` and `out` hold from.elements() and shape().elements() values and
  /// do not overlap. Equal values give equal bits on every machine.
  void apply(std::span<const std::uint8_t> in, std::span<std::uint8_t> out);
  void apply(std::span<const float> in, std::span<float> out);
  /// The same for an image in HWC order, as decoders give it.
  void apply_interleaved(std::span<const std::uint8_t> in, std::span<std::uint8_t> out);

  /// The most bytes that a Resampler keeps between its calls, for bounds.
  static std::uint64_t buffer_bytes(const Resize& resize, const ImageShape& from);

 private:
  template <class Value>
  void resize(std::span<const Value> in, std::span<Value> out, std::size_t interleaved);

  ImageShape from_;
  ImageShape to_;
  ResampleAxis columns_;
  ResampleAxis rows_;
  std::vector<std::byte> strip_in_;   ///< some rows, transposed
  std::vector<std::byte> strip_out_;  ///< the same rows of the result, transposed
  std::vector<std::byte> between_;    ///< the rows that contribute, resized across, plane by plane
};

}  // namespace tutti
