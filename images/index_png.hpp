// PNGs whose pixels are numbers, not colours: masks of classes. Pictures are decoded by codecs.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tutti::images {

struct IndexImage {
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::vector<std::uint16_t> numbers;  ///< height x width
};

/// The numbers of a PNG: the values of a grey one as they are stored, of 1 to 16 bits, or the places of a palette's
/// colours; transparency does not matter. `into` is used again, so that its memory is. Throws Error(usage) whose
/// message says why it has none, without a name: "it is RGB, and ...".
void decode_index(std::span<const std::byte> file, IndexImage& into);

}  // namespace tutti::images
