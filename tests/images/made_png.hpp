// PNGs of any colour type and depth, built byte by byte. For tests only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/checksum.hpp"

namespace tutti::test {

/// Colour types of PNG.
enum class PngColours : std::uint8_t { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgb_alpha = 6 };

struct PngForm {
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  PngColours colours = PngColours::grey;
  std::uint8_t depth = 8;
};

namespace made_png {

inline std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
  return bytes;
}

inline std::string chunk(std::string_view type, const std::string& data) {
  const std::string checked = std::string(type) + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + checked +
         big_endian(crc32(std::as_bytes(std::span(checked))));
}

/// In the format of zlib, not compressed; at most 65 535 bytes.
inline std::string stored(const std::string& bytes) {
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const char byte : bytes) {
    a = (a + static_cast<std::uint8_t>(byte)) % 65521;
    b = (b + a) % 65521;
  }
  const auto size = static_cast<std::uint16_t>(bytes.size());
  const auto low_first = [](std::uint16_t number) {
    return std::string{static_cast<char>(number & 0xFF), static_cast<char>(number >> 8)};
  };
  return std::string("\x78\x01\x01", 3) + low_first(size) + low_first(static_cast<std::uint16_t>(~size)) + bytes +
         big_endian(b << 16 | a);
}

}  // namespace made_png

/// `rows` are the packed bytes of all rows, one row after another.
inline std::string png_of(const PngForm& form, const std::vector<std::uint8_t>& rows) {
  using namespace made_png;
  const std::size_t pitch = rows.size() / form.height;
  std::string filtered;
  for (std::size_t y = 0; y < form.height; ++y) {
    filtered += '\0';
    filtered.append(rows.begin() + static_cast<std::ptrdiff_t>(y * pitch),
                    rows.begin() + static_cast<std::ptrdiff_t>((y + 1) * pitch));
  }
  std::string header = big_endian(form.width) + big_endian(form.height);
  header += static_cast<char>(form.depth);
  header += static_cast<char>(form.colours);
  header += std::string(3, '\0');
  std::string png = "\x89PNG\r\n\x1a\n" + chunk("IHDR", header);
  // Colours that are nothing like their numbers.
  std::string palette;
  for (int entry = 0; entry < std::min(256, 1 << form.depth); ++entry)
    palette += {static_cast<char>(200 - entry), static_cast<char>(entry * 7), '\x11'};
  if (form.colours == PngColours::palette) png += chunk("PLTE", palette);
  return png + chunk("IDAT", stored(filtered)) + chunk("IEND", "");
}

inline void write_png(const std::filesystem::path& file, const PngForm& form, const std::vector<std::uint8_t>& rows) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << png_of(form, rows);
}

}  // namespace tutti::test
