// A job's images, and how they are cut. The cut is the same as the pool's: into segments, and those into batches, so
// that no batch crosses a segment. Owns nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/wire/arena.hpp"

namespace tutti::bench {

/// A run of consecutive images.
struct Run {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

struct Input {
  SlotView<const std::byte> all;         ///< the pixels of all images, possibly read-only memory
  std::span<const std::int64_t> labels;  ///< [images]
  std::uint64_t images = 0;
  std::uint32_t segment_images = 0;
};

/// Calls `use(Run)` for each segment, in order.
template <class Use>
void for_each_segment(const Input& input, Use use) {
  for (std::uint64_t first = 0; first < input.images; first += input.segment_images)
    use(Run{first, static_cast<std::uint32_t>(std::min<std::uint64_t>(input.segment_images, input.images - first))});
}

/// Calls `use(Run)` for each batch of one segment, in order.
template <class Use>
void for_each_batch(const Run& segment, std::uint32_t batch_images, Use use) {
  for (std::uint32_t first = 0; first < segment.count; first += batch_images)
    use(Run{segment.first + first, std::min(batch_images, segment.count - first)});
}

}  // namespace tutti::bench
