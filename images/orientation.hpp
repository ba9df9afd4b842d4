// The EXIF orientation of a picture: how its stored rows must be turned to be seen upright. Reads only the place of the
// tag in a file; knows no other part of EXIF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "images/codecs.hpp"

namespace tutti::images {

/// 1 to 8 as EXIF has them; 1, as it is stored, also if the file names none or names it in a way that cannot be read.
/// (JEITA CP-3451, 4.6.4; PNG's eXIf chunk, WebP's EXIF chunk, TIFF's own tag.)
std::uint8_t orientation_of(std::span<const std::byte> file);

/// Whether the picture is turned whatever is asked for: Pillow does that when it loads a TIFF.
bool is_always_turned(std::span<const std::byte> file);

/// Whether turning exchanges height and width.
constexpr bool exchanges_sides(std::uint8_t orientation) { return orientation >= 5; }

/// Turns a decoded picture upright, like Pillow's ImageOps.exif_transpose(). `room` is used again, so that its memory
/// is.
void turn(DecodedImage& image, std::uint8_t orientation, std::vector<std::uint8_t>& room);

}  // namespace tutti::images
