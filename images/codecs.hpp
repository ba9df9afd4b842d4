// Decodes JPEG and PNG to RGB bytes. Only codecs.cpp sees the libraries behind it. No files, no threads, no resizing:
// see folder.cpp.
//
// Every image becomes RGB of 8 bits like Pillow's convert("RGB"): grey values three times, a palette's colours, the
// high byte of 16 bits, CMYK multiplied out; alpha and transparency are dropped, not blended. Colour profiles, gamma
// and the EXIF orientation are not applied; Pillow applies them only if it is told to.
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
  std::vector<std::uint8_t> bytes;  ///< red, green and blue of each pixel; may be larger than the image

  std::span<const std::uint8_t> values() const { return std::span(bytes).first(shape.elements()); }
};

/// The most pixels of an image; a larger one is treated as an attack.
constexpr std::uint64_t kMaxPixels = 1U << 27;

/// How the decoded image will be resized. A JPEG is decoded at a half, a quarter or an eighth of its size if the result
/// is still at least twice as high and twice as wide as the resized image before the crop: the library then leaves out
/// what the resizing would average away. (Pillow's draft() with thumbnail()'s reducing_gap of 2.) Never for `nearest`,
/// which takes single values.
std::uint32_t jpeg_scale(const Resize& resize, std::uint32_t height, std::uint32_t width);

/// Decodes one image; the first bytes of `file` tell its format. `into` is reused, so that its memory is. Throws
/// Error(usage) whose message says why it cannot be decoded, without a name: "it is neither JPEG nor PNG". An image
/// with a part missing or damaged is an error, as far as its format shows it.
void decode(std::span<const std::byte> file, const Resize& resize, DecodedImage& into);

/// Checks that decode() would succeed: throws like it, reads everything, and computes as little as possible.
void check(std::span<const std::byte> file, DecodedImage& room);

}  // namespace tutti::images
