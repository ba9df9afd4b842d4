// What the decoders of all formats share: refusing an image, and making room for its pixels.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include <tutti/error.hpp>

#include "images/codecs.hpp"

namespace tutti::images {

[[noreturn]] inline void refuse_image(std::string why) { throw Error(ErrorKind::usage, std::move(why)); }

inline void check_size(std::uint64_t height, std::uint64_t width) {
  if (height == 0 || width == 0) refuse_image("it has no pixels");
  if (height * width > kMaxPixels)
    refuse_image(fmt::format("it has {} x {} pixels, more than {}", width, height, kMaxPixels));
}

inline void make_room(DecodedImage& image, std::uint32_t height, std::uint32_t width) {
  image.shape = image.full = {3, height, width};
  image.bytes.resize(std::max(image.bytes.size(), image.shape.elements()));
}

// Each in a file of its own, the only one that sees its library. They throw like decode(); a build without the library
// says so by name.
ImageShape size_of_webp(std::span<const std::byte> file);
ImageShape size_of_tiff(std::span<const std::byte> file);
ImageShape size_of_bmp(std::span<const std::byte> file);
void decode_webp(std::span<const std::byte> file, DecodedImage& into);
void decode_tiff(std::span<const std::byte> file, DecodedImage& into);
void decode_bmp(std::span<const std::byte> file, DecodedImage& into);

}  // namespace tutti::images
