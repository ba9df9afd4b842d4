// Puts an EXIF orientation into a picture. For tests only.
#pragma once

#include <cstdint>
#include <string>

namespace tutti::test {

/// The smallest EXIF: a TIFF header and one directory, here of two entries of which the second counts.
inline std::string exif_of(std::uint8_t orientation, bool little) {
  const auto number = [little](std::uint32_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * (little ? i : bytes - 1 - i) & 0xFF);
    return text;
  };
  return (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) +  //
         number(0x0100, 2) + number(4, 2) + number(1, 4) + number(77, 4) +       //
         number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + number(0, 2) + number(0, 4);
}

/// `jpeg` with an EXIF segment after its first marker.
inline std::string oriented_jpeg(const std::string& jpeg, std::uint8_t orientation, bool little = true) {
  const std::string content = std::string("Exif\0\0", 6) + exif_of(orientation, little);
  const std::size_t size = content.size() + 2;
  return jpeg.substr(0, 2) + "\xFF\xE1" + static_cast<char>(size >> 8) + static_cast<char>(size & 0xFF) + content +
         jpeg.substr(2);
}

/// `png` with an eXIf chunk before its first; the checksum is not one, which readers that skip the chunk do not mind.
inline std::string oriented_png(const std::string& png, std::uint8_t orientation, bool little = true) {
  const std::string content = exif_of(orientation, little);
  return png.substr(0, 8) + std::string("\0\0\0", 3) + static_cast<char>(content.size()) + "eXIf" + content + "crc?" +
         png.substr(8);
}

}  // namespace tutti::test
