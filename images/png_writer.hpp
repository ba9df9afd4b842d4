// Writes masks as PNG: 8 bits per pixel, each the number of a colour in a fixed palette. Images are read by codecs.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace tutti::images {

/// Colours of a palette.
inline constexpr std::uint32_t kPaletteColours = 256;

/// A picture that is written from its first pixel to its last; the file appears at finish(), complete, or never. The
/// palette is that of PASCAL VOC, whose bits spread the numbers over the colours: neighbouring numbers look different.
/// Throws Error(failed) that names the file. Moves, does not copy; one thread.
class PalettePng {
 public:
  PalettePng(const std::filesystem::path& path, std::uint32_t height, std::uint32_t width);
  PalettePng(PalettePng&&) noexcept;
  PalettePng& operator=(PalettePng&&) noexcept;
  ~PalettePng();

  /// The next pixels, row-major; rows may be cut anywhere.
  void write(std::span<const std::uint8_t> pixels);
  /// All pixels were written. The file is in place then, but not synced, which would take longer than writing a small
  /// one: sync_files() does it for many at once.
  void finish();

 private:
  class Encoder;
  std::unique_ptr<Encoder> encoder_;
};

}  // namespace tutti::images
