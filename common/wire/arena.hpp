// How the input memory is laid out. Pure arithmetic over offsets: the coordinator's arena owns the memory, and the
// worker maps it read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <tutti/images.hpp>

#include "common/check.hpp"
#include "common/ids.hpp"
#include "common/values.hpp"
#include "common/wire/shared_memory.hpp"

namespace tutti {

/// One slot: `images` x shape float32 or bytes, NCHW, then as many labels, then as many image numbers (their place in
/// the source; training draws a member's resample from them, and random models their numbers). Every part begins at a
/// page.
struct ArenaLayout {
  std::uint32_t slots = 0;
  std::uint32_t images = 0;  ///< per slot
  ImageShape shape;
  PixelType pixels = PixelType::float32;

  constexpr std::uint64_t value_bytes() const { return pixels == PixelType::uint8 ? 1 : sizeof(float); }
  constexpr std::uint64_t image_bytes() const {
    return std::uint64_t{shape.channels} * shape.height * shape.width * value_bytes();
  }
  constexpr std::uint64_t pixel_bytes() const { return aligned(images * image_bytes(), kPageBytes); }
  constexpr std::uint64_t label_bytes() const {
    return aligned(std::uint64_t{images} * sizeof(std::int64_t), kPageBytes);
  }
  constexpr std::uint64_t number_bytes() const { return label_bytes(); }
  constexpr std::uint64_t slot_bytes() const { return pixel_bytes() + label_bytes() + number_bytes(); }
  constexpr std::uint64_t bytes() const { return slots * slot_bytes(); }
};

/// The parts of one slot, of which `count` images are in use.
template <class Byte>
struct SlotView {
  template <class T>
  using Like = std::conditional_t<std::is_const_v<Byte>, const T, T>;
  std::span<Like<float>> pixels;        ///< empty if the arena holds bytes
  std::span<Like<std::uint8_t>> bytes;  ///< empty if it holds float32
  std::span<Like<std::int64_t>> labels;
  std::span<Like<std::uint64_t>> numbers;
};

/// `arena` is the start of the mapped arena. The caller has checked that slot and count are within the layout.
template <class Byte>
SlotView<Byte> slot_view(Byte* arena, const ArenaLayout& layout, SlotId slot, std::uint32_t count) {
  TUTTI_CHECK(slot.value() < layout.slots);
  TUTTI_CHECK(count <= layout.images);
  Byte* base = arena + slot.value() * layout.slot_bytes();
  const auto part = [&]<class T>(T*, std::uint64_t offset, std::size_t values) {
    using Like = std::conditional_t<std::is_const_v<Byte>, const T, T>;
    return std::span<Like>(reinterpret_cast<Like*>(base + offset), values);
  };
  const std::size_t values = count * layout.shape.elements();
  const bool bytes = layout.pixels == PixelType::uint8;
  return {part(static_cast<float*>(nullptr), 0, bytes ? 0 : values),
          part(static_cast<std::uint8_t*>(nullptr), 0, bytes ? values : 0),
          part(static_cast<std::int64_t*>(nullptr), layout.pixel_bytes(), count),
          part(static_cast<std::uint64_t*>(nullptr), layout.pixel_bytes() + layout.label_bytes(), count)};
}

}  // namespace tutti
