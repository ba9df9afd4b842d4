// The owner of libwebp. Without it, WebP files are rejected by name.
#ifdef TUTTI_HAS_WEBP
#include <webp/decode.h>
#endif

#include "images/decoding.hpp"
#include "images/formats.hpp"

namespace tutti::images {

#ifdef TUTTI_HAS_WEBP

ImageShape size_of_webp(std::span<const std::byte> file) {
  const auto* const data = reinterpret_cast<const std::uint8_t*>(file.data());
  WebPBitstreamFeatures facts;
  const VP8StatusCode code = WebPGetFeatures(data, file.size(), &facts);
  if (code == VP8_STATUS_NOT_ENOUGH_DATA) refuse_image("the file ends before the image does");
  if (code != VP8_STATUS_OK) refuse_image("it is a damaged WebP");
  if (facts.has_animation != 0) refuse_image("it is an animated WebP, and Tutti reads single images");
  const auto height = static_cast<std::uint32_t>(facts.height);
  const auto width = static_cast<std::uint32_t>(facts.width);
  check_size(height, width);
  return {3, height, width};
}

void decode_webp(std::span<const std::byte> file, DecodedImage& into) {
  const auto* const data = reinterpret_cast<const std::uint8_t*>(file.data());
  const auto [channels, height, width] = size_of_webp(file);
  make_room(into, height, width);
  // Leaves alpha out, and does not blend.
  if (WebPDecodeRGBInto(data, file.size(), into.bytes.data(), into.bytes.size(), static_cast<int>(width * 3)) ==
      nullptr)
    refuse_image("it is a damaged WebP, or the file ends before the image does");
}

#else

ImageShape size_of_webp(std::span<const std::byte>) { refuse_image(not_built_in(Format::webp)); }
void decode_webp(std::span<const std::byte>, DecodedImage&) { refuse_image(not_built_in(Format::webp)); }

#endif

}  // namespace tutti::images
