#include "images/orientation.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "images/formats.hpp"

namespace tutti::images {
namespace {

using Bytes = std::span<const std::byte>;

std::uint32_t number_at(Bytes bytes, std::size_t at, std::size_t count, bool little) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t byte = little ? count - 1 - i : i;
    number = number << 8 | std::to_integer<std::uint32_t>(bytes[at + byte]);
  }
  return number;
}

bool begins(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

/// Of the first directory of a TIFF file, which is what EXIF is.
std::uint8_t orientation_in_tiff(Bytes tiff) {
  using namespace std::string_view_literals;
  constexpr std::uint32_t kOrientation = 0x0112;
  constexpr std::uint32_t kShort = 3;
  constexpr std::size_t kEntry = 12;
  const bool little = begins(tiff, "II*\0"sv);
  if (!little && !begins(tiff, "MM\0*"sv)) return 1;
  if (tiff.size() < 8) return 1;
  const std::size_t directory = number_at(tiff, 4, 4, little);
  if (directory + 2 > tiff.size()) return 1;
  const std::uint32_t entries = number_at(tiff, directory, 2, little);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntry;
    if (entry + kEntry > tiff.size()) return 1;
    if (number_at(tiff, entry, 2, little) != kOrientation) continue;
    const std::size_t size = number_at(tiff, entry + 2, 2, little) == kShort ? 2 : 4;
    const std::uint32_t value = number_at(tiff, entry + 8, size, little);
    return value >= 1 && value <= 8 ? static_cast<std::uint8_t>(value) : std::uint8_t{1};
  }
  return 1;
}

/// The content of the first EXIF segment before the image.
Bytes exif_of_jpeg(Bytes file) {
  using namespace std::string_view_literals;
  constexpr std::uint32_t kApp1 = 0xE1;
  constexpr std::uint32_t kScan = 0xDA;
  for (std::size_t at = 2; at + 4 <= file.size();) {
    if (file[at] != std::byte{0xFF}) return {};
    const auto marker = std::to_integer<std::uint32_t>(file[at + 1]);
    if (marker == 0xFF) {  // any number of them may come before a marker
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) {  // these have no content
      at += 2;
      continue;
    }
    const std::size_t size = number_at(file, at + 2, 2, false);
    if (marker == kScan || size < 2 || at + 2 + size > file.size()) return {};
    const Bytes content = file.subspan(at + 4, size - 2);
    if (marker == kApp1 && begins(content, "Exif\0\0"sv)) return content.subspan(6);
    at += 2 + size;
  }
  return {};
}

Bytes exif_of_png(Bytes file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t size = number_at(file, at, 4, false);
    if (size > file.size() - at - 12) return {};
    if (begins(file.subspan(at + 4), "eXIf")) return file.subspan(at + 8, size);
    at += 12 + size;
  }
  return {};
}

/// The content of the EXIF chunk, which some writers begin like the segment of a JPEG.
Bytes exif_of_webp(Bytes file) {
  using namespace std::string_view_literals;
  for (std::size_t at = 12; at + 8 <= file.size();) {
    const std::size_t size = number_at(file, at + 4, 4, true);
    if (size > file.size() - at - 8) return {};
    if (begins(file.subspan(at), "EXIF")) {
      const Bytes content = file.subspan(at + 8, size);
      return begins(content, "Exif\0\0"sv) ? content.subspan(6) : content;
    }
    at += 8 + size + size % 2;
  }
  return {};
}

}  // namespace

std::uint8_t orientation_of(Bytes file) {
  switch (format_of(file).value_or(Format::bmp)) {
    case Format::jpeg:
      return orientation_in_tiff(exif_of_jpeg(file));
    case Format::png:
      return orientation_in_tiff(exif_of_png(file));
    case Format::webp:
      return orientation_in_tiff(exif_of_webp(file));
    case Format::tiff:
      return orientation_in_tiff(file);
    case Format::bmp:
      break;  // it has no EXIF
  }
  return 1;
}

bool is_always_turned(Bytes file) { return format_of(file) == Format::tiff; }

void turn(DecodedImage& image, std::uint8_t orientation, std::vector<std::uint8_t>& room) {
  if (orientation <= 1 || orientation > 8) return;
  const std::ptrdiff_t height = image.shape.height;
  const std::ptrdiff_t width = image.shape.width;
  // In pixels of the stored picture: where the first pixel of the upright one is, and how far the next column and the
  // next row are.
  struct Walk {
    std::ptrdiff_t begin, column, row;
  };
  const Walk walks[]{{width - 1, -1, width}, {height * width - 1, -1, -width},  {(height - 1) * width, 1, -width},
                     {0, width, 1},          {(height - 1) * width, -width, 1}, {height * width - 1, -width, -1},
                     {width - 1, width, -1}};
  const Walk walk = walks[orientation - 2];
  if (exchanges_sides(orientation)) {
    std::swap(image.shape.height, image.shape.width);
    std::swap(image.full.height, image.full.width);
  }
  room.resize(std::max(room.size(), image.shape.elements()));
  std::uint8_t* to = room.data();
  for (std::ptrdiff_t y = 0; y < image.shape.height; ++y) {
    const std::uint8_t* from = image.bytes.data() + 3 * (walk.begin + y * walk.row);
    for (std::ptrdiff_t x = 0; x < image.shape.width; ++x, from += 3 * walk.column, to += 3) std::copy_n(from, 3, to);
  }
  image.bytes.swap(room);
}

}  // namespace tutti::images
