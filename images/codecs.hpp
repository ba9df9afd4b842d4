// Decodes images (formats.hpp) to RGB bytes. Only codecs.cpp, webp.cpp, tiff.cpp and bmp.cpp see the libraries behind
// it. No files, no threads, no resizing: see folder.cpp.
//
// Every image becomes RGB of 8 bits like Pillow's convert("RGB"): grey values three times, a palette's colours, the
// high byte of 16 bits (but grey of 16 bits is cut off at 255), CMYK multiplied out; alpha and transparency are
// dropped, not blended. Colour profiles, gamma and the EXIF orientation (orientation.hpp) are not applied; Pillow
// applies them only if it is told to.
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
  ImageShape full;                  ///< as the file has it: larger than `shape` if a JPEG was decoded at a part of it
  std::vector<std::uint8_t> bytes;  ///< red, green and blue of one pixel after another; may be larger than the image

  std::span<const std::uint8_t> values() const { return std::span(bytes).first(shape.elements()); }
};

/// The most pixels of an image; a larger one is treated as an attack.
constexpr std::uint64_t kMaxPixels = 1U << 27;

/// The part of its size at which a JPEG is decoded for `resize`: a half, a quarter or an eighth, if the result is still
/// at least twice as high and twice as wide as what `resize` makes of the image before the crop. (Pillow's draft() with
/// thumbnail()'s reducing_gap of 2.) It is a third of the time, and up to 16 levels away from decoding all of it
/// (docs/images.md). Never for `nearest`, which takes single values.
std::uint32_t jpeg_scale(const Resize& resize, std::uint32_t height, std::uint32_t width);

/// What brings a decoded image to the size that `resize` gives the whole one: `resize` itself, unless it was decoded at
/// a part of its size. The sides of a part are rounded up, and a target derived from them could be a pixel off.
Resize resize_from_decoded(const Resize& resize, const DecodedImage& image);

/// Decodes one image, a JPEG at the largest part of its size that jpeg_scale() says for one of `resizes` (all of it if
/// there are none); `file` says by its first bytes what it is. `into` is used again, so that its memory is. Throws
/// Error(usage) whose message says why it cannot be decoded, without a name: "it is empty". An image with a part
/// missing or damaged is an error, as far as its format lets that be seen.
void decode(std::span<const std::byte> file, std::span<const Resize> resizes, DecodedImage& into);

/// The sizes of an image as it is stored; reads its header only. Throws like decode().
ImageShape stored_size(std::span<const std::byte> file);

/// Checks that decode() would succeed: throws like it, reads everything, and computes as little as possible.
void check(std::span<const std::byte> file, DecodedImage& room);

}  // namespace tutti::images
