// Images of another size, computed as Pillow computes them: separable filters with the support stretched where the
// image gets smaller (antialiasing); for bytes in fixed point with the same rounding, so that the bytes are Pillow's.
// No files, no threads. (The method: https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters; checked
// against its output.)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_request.hpp"

namespace tutti {

/// What `resize` makes of an image of `from`. `shorter` keeps the proportions and truncates the longer side as
/// torchvision and CLIP's processor do; a crop larger than the image is padded with zeros. Throws Error(usage) where
/// the rule cannot be applied (a size of 0).
ImageShape resized_shape(const Resize& resize, const ImageShape& from);

/// Resizes images of one shape by one rule; the filters are computed once. One thread at a time.
class Resampler {
 public:
  Resampler(const Resize& resize, const ImageShape& from);
  const ImageShape& shape() const noexcept { return to_; }  ///< of the answer

  /// One image, planes one after another (CHW). `in` and `out` hold from.elements() and shape().elements() values and
  /// do not overlap.
  void apply(std::span<const std::uint8_t> in, std::span<std::uint8_t> out);
  void apply(std::span<const float> in, std::span<float> out);

 private:
  // The owner of resample.cpp fills this in.
  Resize resize_;
  ImageShape from_;
  ImageShape to_;
};

}  // namespace tutti
