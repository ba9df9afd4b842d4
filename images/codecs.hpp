// JPEG and PNG into RGB bytes. Of the libraries behind it nothing is seen outside codecs.cpp. No files, no threads, no
// resizing: see folder.cpp.
//
// Every image becomes RGB of 8 bits as Pillow's convert("RGB") makes it: grey values thrice, a palette's colours, the
// high byte of 16 bits, CMYK multiplied out; alpha and transparency are dropped, not blended. Colour profiles, gamma
// and the orientation of EXIF are not applied, which Pillow does not do either unless it is told to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_input.hpp"

namespace tutti::images {

struct DecodedImage {
  ImageShape shape;                 ///< 3 channels
  std::vector<std::uint8_t> bytes;  ///< red, green and blue of one pixel after another; may be larger than the image

  std::span<const std::uint8_t> values() const { return std::span(bytes).first(shape.elements()); }
};

/// The most pixels of an image; one with more is taken for an attack.
constexpr std::uint64_t kMaxPixels = 1U << 27;

/// What an encoded image is to be resized to. A JPEG is decoded at a half, a quarter or an eighth of its size where the
/// result is still at least twice as high and twice as wide as what `resize` makes of it before the crop: what the
/// library leaves out then is what the resizing would average away. (Pillow's draft() with thumbnail()'s reducing_gap
/// of 2.) Never for `nearest`, which takes single values.
std::uint32_t jpeg_scale(const Resize& resize, std::uint32_t height, std::uint32_t width);

/// Decodes one image; `file` says by its first bytes what it is. `into` is used again, so that its memory is. Throws
/// Error(usage) whose message says why it cannot be decoded, without a name: "it is neither JPEG nor PNG". An image
/// with a part missing or damaged is an error, as far as its format lets that be seen.
void decode(std::span<const std::byte> file, const Resize& resize, DecodedImage& into);

/// Throws as decode() does. Reads everything, and computes as little as it can.
void check(std::span<const std::byte> file, DecodedImage& room);

}  // namespace tutti::images
