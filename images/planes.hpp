// Sources that give each picture in several planes: the results of several resizes and crops, all made from one decoded
// picture. An ensemble whose members see the pictures differently asks for one plane per distinct resize and crop.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_input.hpp"

namespace tutti::images {

/// A source that may decode pictures of any size. Source::read() and read_bytes() give its own plane, the one that its
/// description asks for. One thread at a time.
class PlaneSource : public Source {
 public:
  /// Whether there are planes to choose: false for a decorator around a source of arrays of one shape.
  virtual bool decodes() const = 0;
  /// From now on read_planes() makes a plane for each of `asked`; what one leaves open is as the source's own
  /// (resize_of_picture()). At the start there is the source's own plane only.
  virtual void choose_planes(std::span<const Resize> asked) = 0;
  /// One per plane.
  virtual std::vector<ImageShape> plane_shapes() const = 0;
  /// As read_bytes(), once per plane: `planes[p]` holds indices.size() images of plane_shapes()[p].
  virtual void read_planes(std::span<const std::uint64_t> indices, std::span<const std::span<std::uint8_t>> planes,
                           std::span<std::int64_t> labels) = 0;
  /// How many pictures, of those that were read and not yet told by this function, have an EXIF orientation that was
  /// not applied.
  virtual std::uint64_t take_unturned() = 0;
};

/// The source as one that decodes, or null.
PlaneSource* decoding(Source& source);
const PlaneSource* decoding(const Source& source);

/// A source of arrays of one shape, which must have bytes, as if they were decoded pictures: what a plane leaves open
/// stays as it is. `source` outlives it.
std::unique_ptr<PlaneSource> as_pictures(Source& source);

}  // namespace tutti::images
