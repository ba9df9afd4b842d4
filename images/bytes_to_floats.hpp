// uint8 to float32 in 0..1, the same bits everywhere: x / 255 in float32, correctly rounded. Not a decoder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tutti::images {

/// kUnitFloats[x] == x / 255.0F; a table because a division per value would cost more than reading the file.
inline constexpr std::array<float, 256> kUnitFloats = [] {
  std::array<float, 256> table{};
  for (std::size_t x = 0; x < table.size(); ++x) table[x] = static_cast<float>(x) / 255.0F;
  return table;
}();

}  // namespace tutti::images
