// The CRC-32 of zip and PNG (IEEE 802.3): tells a torn or changed file from a whole one. Not a defence against anyone
// who means it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tutti {

/// Of `bytes` that follow those whose checksum is `before`. Eight bytes a step: what is journaled goes through it, and
/// byte by byte it would take four times as long.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

}  // namespace tutti
