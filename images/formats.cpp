#include "images/formats.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace tutti::images {
namespace {

#ifdef TUTTI_HAS_WEBP
constexpr bool kHasWebp = true;
#else
constexpr bool kHasWebp = false;
#endif
#ifdef TUTTI_HAS_TIFF
constexpr bool kHasTiff = true;
#else
constexpr bool kHasTiff = false;
#endif
#ifdef TUTTI_HAS_BMP
constexpr bool kHasBmp = true;
#else
constexpr bool kHasBmp = false;
#endif

struct FormatRow {
  Format format;
  std::string_view name;
  bool built_in;
  std::string_view library;
  std::string_view package;  ///< of Debian
};

constexpr std::array kFormats{FormatRow{Format::jpeg, "JPEG", true, "libjpeg", "libjpeg-dev"},
                              FormatRow{Format::png, "PNG", true, "libpng", "libpng-dev"},
                              FormatRow{Format::webp, "WebP", kHasWebp, "libwebp", "libwebp-dev"},
                              FormatRow{Format::tiff, "TIFF", kHasTiff, "libtiff", "libtiff-dev"},
                              FormatRow{Format::bmp, "BMP", kHasBmp, "stb_image", "libstb-dev"}};

constexpr std::array<std::string_view, 10> kEndings{".jpg",  ".jpeg", ".jpe",  ".jfif", ".png",
                                                    ".webp", ".tif",  ".tiff", ".bmp",  ".dib"};

const FormatRow& row_of(Format format) { return kFormats.at(static_cast<std::size_t>(format)); }

bool has_at(std::span<const std::byte> file, std::size_t offset, std::string_view mark) {
  return file.size() >= offset + mark.size() && std::memcmp(file.data() + offset, mark.data(), mark.size()) == 0;
}

}  // namespace

bool is_built_in(Format format) { return row_of(format).built_in; }

std::string_view format_name(Format format) { return row_of(format).name; }

std::optional<Format> format_of(std::span<const std::byte> file) {
  using namespace std::string_view_literals;
  if (has_at(file, 0, "\xFF\xD8\xFF")) return Format::jpeg;
  if (has_at(file, 0, "\x89PNG\r\n\x1A\n")) return Format::png;
  if (has_at(file, 0, "RIFF") && has_at(file, 8, "WEBP")) return Format::webp;
  // The last two are BigTIFF.
  for (const std::string_view mark : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv})
    if (has_at(file, 0, mark)) return Format::tiff;
  if (has_at(file, 0, "BM")) return Format::bmp;
  return std::nullopt;
}

bool is_called_image(const std::filesystem::path& file) {
  std::string ending = file.extension().string();
  for (char& letter : ending)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return std::ranges::find(kEndings, ending) != kEndings.end();
}

std::string image_endings() {
  return fmt::format("{} and {}", fmt::join(kEndings.begin(), kEndings.end() - 1, ", "), kEndings.back());
}

std::string not_built_in(Format format) {
  const FormatRow& row = row_of(format);
  return fmt::format(
      "it is a {}, and this build of Tutti has no {}; install it (Debian: {}) and build again, or convert "
      "the file to PNG",
      row.name, row.library, row.package);
}

}  // namespace tutti::images
