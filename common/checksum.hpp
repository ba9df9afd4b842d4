// The CRC-32 of zip and PNG (IEEE 802.3): tells a torn or changed file from a whole one. Not a defence against anyone
// who means it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

namespace tutti {

/// Of `bytes` that follow those whose checksum is `before`. Eight bytes a step: what is journaled goes through it, and
/// byte by byte it would take four times as long.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

/// What a file holds, in short.
struct FileContent {
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
};
/// Reads the whole file; nothing where it cannot be read, and errno says why.
std::optional<FileContent> content_of(const std::filesystem::path& file);

}  // namespace tutti
