// The owner of stb_image, of which only the reader of BMP is compiled. It takes missing bytes for zeros, so the size of
// the file is checked first. Without it, BMP files are rejected by name.
#ifdef TUTTI_HAS_BMP
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#include <stb_image.h>
#endif

#include <cstdlib>
#include <cstring>
#include <memory>

#include "images/decoding.hpp"
#include "images/formats.hpp"

namespace tutti::images {

#ifdef TUTTI_HAS_BMP

namespace {

/// A number of `size` bytes, least significant first; the file must have them.
std::uint32_t bmp_number(std::span<const std::byte> file, std::size_t offset, std::size_t size) {
  if (file.size() < offset + size) refuse_image("the file ends before the image does");
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number |= std::to_integer<std::uint32_t>(file[offset + i]) << (8 * i);
  return number;
}

/// The layout of the header is Microsoft's: BITMAPFILEHEADER, then BITMAPCOREHEADER (12 bytes) or BITMAPINFOHEADER and
/// its longer versions. A negative height means that the first row is the top one.
ImageShape check_bmp(std::span<const std::byte> file) {
  const std::uint64_t begin = bmp_number(file, 10, 4);
  const bool old = bmp_number(file, 14, 4) == 12;
  const std::uint64_t width = bmp_number(file, 18, old ? 2 : 4);
  const auto signed_height = static_cast<std::int32_t>(bmp_number(file, old ? 20 : 22, old ? 2 : 4));
  const std::uint64_t height = signed_height < 0 ? -std::int64_t{signed_height} : std::int64_t{signed_height};
  const std::uint64_t bits = bmp_number(file, old ? 24 : 28, 2);
  check_size(height, width);
  const std::uint32_t compression = old ? 0 : bmp_number(file, 30, 4);
  if (compression == 1 || compression == 2) refuse_image("it is a BMP that is compressed with RLE");
  if (begin + (width * bits + 31) / 32 * 4 * height > file.size()) refuse_image("the file ends before the image does");
  return {3, static_cast<std::uint32_t>(height), static_cast<std::uint32_t>(width)};
}

}  // namespace

ImageShape size_of_bmp(std::span<const std::byte> file) { return check_bmp(file); }

void decode_bmp(std::span<const std::byte> file, DecodedImage& into) {
  check_bmp(file);
  int width = 0;
  int height = 0;
  int channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&std::free)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(file.data()), static_cast<int>(file.size()), &width,
                            &height, &channels, 3),
      std::free);
  if (!pixels) refuse_image(stbi_failure_reason());
  make_room(into, static_cast<std::uint32_t>(height), static_cast<std::uint32_t>(width));
  std::memcpy(into.bytes.data(), pixels.get(), into.shape.elements());
}

#else

ImageShape size_of_bmp(std::span<const std::byte>) { refuse_image(not_built_in(Format::bmp)); }
void decode_bmp(std::span<const std::byte>, DecodedImage&) { refuse_image(not_built_in(Format::bmp)); }

#endif

}  // namespace tutti::images
