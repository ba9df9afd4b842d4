// The bytes of images/data/digits.bin, compiled into the library. images/data/README.md describes their layout.
#pragma once

#include <cstdint>
#include <span>

namespace tutti::images {

extern const std::span<const std::uint8_t> kDigitsBytes;

}  // namespace tutti::images
