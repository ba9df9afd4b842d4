// The CRC-32 of zip and PNG (IEEE 802.3): tells a torn or changed file from an intact one. Not a defence against
// deliberate changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

namespace tutti {

/// The checksum of the bytes whose checksum is `before`, followed by `bytes`. Takes 64 bytes per step: all results of a
/// run go through it, as fast as they can be copied.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

/// The size and checksum of a file.
struct FileContent {
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
};
/// Reads the whole file; nothing if it cannot be read, and errno says why.
std::optional<FileContent> content_of(const std::filesystem::path& file);

}  // namespace tutti
