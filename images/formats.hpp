// The formats of image files: how their names end, how their files begin, and whether this build reads them. No codecs:
// see codecs.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tutti::images {

enum class Format : std::uint8_t { jpeg, png, webp, tiff, bmp };

/// JPEG and PNG are always built in. The others need a library that may be missing when Tutti is built.
bool is_built_in(Format format);

/// "WebP".
std::string_view format_name(Format format);

/// The format whose mark the file begins with. Its name does not count.
std::optional<Format> format_of(std::span<const std::byte> file);

/// Whether a file is called like an image of any format, in upper or lower case, also of one that is not built in.
bool is_called_image(const std::filesystem::path& file);

/// For messages: ".jpg, .jpeg, ... and .dib".
std::string image_endings();

/// What a build without the library of `format` says of its files.
std::string not_built_in(Format format);

}  // namespace tutti::images
