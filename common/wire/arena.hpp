// How the input memory is laid out. Pure arithmetic over offsets: the coordinator's arena owns the memory, and the
// worker maps it read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <tutti/images.hpp>

#include "common/check.hpp"
#include "common/ids.hpp"
#include "common/values.hpp"
#include "common/wire/shared_memory.hpp"

namespace tutti {

/// One slot: each array for `images` samples, one array after the other, then as many labels, then as many image
/// numbers (their place in the source; training draws a member's resample from them, and random models their numbers),
/// then for each later round of a cascade as many places: which samples of the slot it asks for, in ascending order.
/// Every part begins at a page.
struct ArenaLayout {
  std::uint32_t slots = 0;
  std::uint32_t images = 0;  ///< per slot
  std::vector<TensorLayout> arrays;
  std::uint32_t later_rounds = 0;

  ArenaLayout() = default;
  ArenaLayout(std::uint32_t slot_count, std::uint32_t images_per_slot, std::vector<TensorLayout> layouts)
      : slots(slot_count), images(images_per_slot), arrays(std::move(layouts)) {}
  /// One array of images.
  ArenaLayout(std::uint32_t slot_count, std::uint32_t images_per_slot, const ImageShape& shape,
              Dtype dtype = Dtype::float32)
      : ArenaLayout(slot_count, images_per_slot, std::vector{shape.layout(dtype)}) {}

  /// Of one sample in all arrays.
  std::uint64_t sample_bytes() const {
    std::uint64_t sum = 0;
    for (const TensorLayout& array : arrays) sum += array.bytes();
    return sum;
  }
  std::uint64_t array_bytes(std::size_t array) const { return aligned(images * arrays[array].bytes(), kPageBytes); }
  /// Where an array begins in its slot; for the number of arrays, where the labels do.
  std::uint64_t array_offset(std::size_t array) const {
    std::uint64_t offset = 0;
    for (std::size_t before = 0; before < array; ++before) offset += array_bytes(before);
    return offset;
  }
  std::uint64_t label_bytes() const { return aligned(std::uint64_t{images} * sizeof(std::int64_t), kPageBytes); }
  std::uint64_t number_bytes() const { return label_bytes(); }
  std::uint64_t chosen_bytes() const { return aligned(std::uint64_t{images} * sizeof(std::uint32_t), kPageBytes); }
  /// Where the places of a later round begin in their slot.
  std::uint64_t chosen_offset(Round round) const {
    return array_offset(arrays.size()) + label_bytes() + number_bytes() + (round.value() - 1U) * chosen_bytes();
  }
  std::uint64_t slot_bytes() const {
    return array_offset(arrays.size()) + label_bytes() + number_bytes() + later_rounds * chosen_bytes();
  }
  std::uint64_t bytes() const { return slots * slot_bytes(); }
};

/// One array of a slot, and what goes with all of its arrays; `count` samples are in use.
template <class Byte>
struct SlotView {
  template <class T>
  using Like = std::conditional_t<std::is_const_v<Byte>, const T, T>;
  Dtype dtype = Dtype::float32;
  std::span<Byte> bytes;  ///< of the array
  std::span<Like<std::int64_t>> labels;
  std::span<Like<std::uint64_t>> numbers;

  /// The array's values, as what its dtype says.
  std::span<Like<float>> floats() const { return values<float>(Dtype::float32); }
  std::span<Like<std::uint8_t>> pixels() const { return values<std::uint8_t>(Dtype::uint8); }

 private:
  template <class T>
  std::span<Like<T>> values(Dtype wanted) const {
    TUTTI_CHECK(dtype == wanted);
    return {reinterpret_cast<Like<T>*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

/// `arena` is the start of the mapped arena. The caller has checked that slot, count and array are within the layout.
template <class Byte>
SlotView<Byte> slot_view(Byte* arena, const ArenaLayout& layout, SlotId slot, std::uint32_t count,
                         std::size_t array = 0) {
  TUTTI_CHECK(slot.value() < layout.slots);
  TUTTI_CHECK(count <= layout.images);
  TUTTI_CHECK(array < layout.arrays.size());
  Byte* base = arena + slot.value() * layout.slot_bytes();
  const auto part = [&]<class T>(T*, std::uint64_t offset, std::size_t values) {
    using Like = std::conditional_t<std::is_const_v<Byte>, const T, T>;
    return std::span<Like>(reinterpret_cast<Like*>(base + offset), values);
  };
  const std::uint64_t labels = layout.array_offset(layout.arrays.size());
  return {layout.arrays[array].dtype,
          {base + layout.array_offset(array), count * layout.arrays[array].bytes()},
          part(static_cast<std::int64_t*>(nullptr), labels, count),
          part(static_cast<std::uint64_t*>(nullptr), labels + layout.label_bytes(), count)};
}

/// The samples of a slot that a later round asks for, `count` of them. The caller has checked the slot.
template <class Byte>
auto chosen_view(Byte* arena, const ArenaLayout& layout, SlotId slot, Round round, std::uint32_t count) {
  TUTTI_CHECK(slot.value() < layout.slots);
  TUTTI_CHECK(round.value() > 0 && round.value() <= layout.later_rounds);
  TUTTI_CHECK(count <= layout.images);
  using Place = std::conditional_t<std::is_const_v<Byte>, const std::uint32_t, std::uint32_t>;
  Byte* base = arena + slot.value() * layout.slot_bytes() + layout.chosen_offset(round);
  return std::span<Place>(reinterpret_cast<Place*>(base), count);
}

}  // namespace tutti
