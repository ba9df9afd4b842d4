// The layout of the arena and of a channel: nothing overlaps, everything is aligned, and the bytes are the sum.
#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/wire/arena.hpp"
#include "common/wire/channel.hpp"
#include "common/wire/shared_memory.hpp"

namespace tutti::test {
namespace {

/// A stretch of bytes, as offsets.
struct Extent {
  std::uint64_t begin;
  std::uint64_t end;
};

bool disjoint_and_ascending(const std::vector<Extent>& extents, std::uint64_t bytes) {
  std::uint64_t reached = 0;
  for (const Extent& extent : extents) {
    if (extent.begin < reached || extent.end < extent.begin) return false;
    reached = extent.end;
  }
  return reached <= bytes;
}

template <class T>
Extent extent_of(std::span<T> part, const std::byte* base) {
  const auto* begin = reinterpret_cast<const std::byte*>(part.data());
  return {static_cast<std::uint64_t>(begin - base), static_cast<std::uint64_t>(begin - base) + part.size_bytes()};
}

MemoryFile file_of(std::uint64_t bytes) {
  MemoryFile file = MemoryFile::create("test");
  file.allocate(bytes, "a test");
  return file;
}

TEST_CASE("an arena of bytes takes a quarter of the room and keeps labels and numbers") {
  const ArenaLayout floats{2, 1000, {3, 8, 8}};
  const ArenaLayout bytes{2, 1000, {3, 8, 8}, Dtype::uint8};
  CHECK(bytes.arrays[0].bytes() == 192);
  CHECK(floats.arrays[0].bytes() == 768);
  CHECK(bytes.array_bytes(0) == aligned(192'000, kPageBytes));
  CHECK(bytes.label_bytes() == floats.label_bytes());
  std::vector<std::byte> memory(bytes.bytes());
  const auto view = slot_view(memory.data(), bytes, 1, 5);
  CHECK(view.pixels().size() == 5 * 192);
  CHECK(view.bytes.data() == memory.data() + bytes.slot_bytes());
  CHECK(view.labels.size() == 5);
  CHECK(view.dtype == Dtype::uint8);
}

TEST_CASE("the arrays of a slot have their own types and ranks and overlap neither each other nor the labels") {
  const ArenaLayout layout{3, 7, {{Dtype::uint8, {3, 5, 9}}, {Dtype::float32, {11}}, {Dtype::float32, {2, 3, 4, 5}}}};
  CHECK(layout.arrays[2].elements() == 120);
  std::vector<std::byte> memory(layout.bytes());
  std::uint64_t end = 0;
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    for (std::size_t array = 0; array < 3; ++array) {
      const auto view = slot_view(memory.data(), layout, SlotId(slot), 7, array);
      CHECK(view.dtype == layout.arrays[array].dtype);
      CHECK(view.bytes.size() == 7 * layout.arrays[array].bytes());
      const Extent extent = extent_of(view.bytes, memory.data());
      CHECK(extent.begin >= end);
      CHECK((extent.begin - slot * layout.slot_bytes()) % kPageBytes == 0);
      end = extent.end;
    }
    const auto view = slot_view(memory.data(), layout, SlotId(slot), 7);
    CHECK(extent_of(view.labels, memory.data()).begin >= end);
    CHECK(extent_of(view.numbers, memory.data()).begin >= extent_of(view.labels, memory.data()).end);
    end = extent_of(view.numbers, memory.data()).end;
  }
  CHECK(end <= layout.bytes());
  // One array is as one was before there could be several.
  const ArenaLayout one{3, 7, {3, 5, 9}, Dtype::uint8};
  CHECK(one.slot_bytes() == aligned(7 * 135, kPageBytes) + 2 * aligned(7 * 8, kPageBytes));
}

TEST_CASE("the parts of a channel neither overlap nor leave its bytes") {
  for (const std::uint32_t slots : {1U, 2U, 3U, 4U, 5U, 7U, 64U})
    for (const std::uint32_t images : {1U, 3U, 500U})
      for (const std::uint32_t width : {1U, 10U, 1001U}) {
        CAPTURE(slots);
        CAPTURE(images);
        CAPTURE(width);
        const ChannelLayout layout{slots, images, {width}};
        const MemoryFile file = file_of(layout.bytes());
        const Channel channel(file, layout);
        const auto* base = reinterpret_cast<const std::byte*>(&channel.status());
        const auto ring_of = [&](const auto& place, std::uint64_t bytes) {
          const auto offset = static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(place.header) - base);
          return Extent{offset, offset + bytes};
        };
        std::vector<Extent> extents{
            {0, sizeof(WorkerStatus)},
            ring_of(channel.tasks(), RingPlace<TaskRecord>::bytes(layout.ring_capacity())),
            ring_of(channel.completions(), RingPlace<CompletionRecord>::bytes(layout.ring_capacity()))};
        for (std::uint32_t slot = 0; slot < slots; ++slot) {
          extents.push_back(extent_of(channel.output(SlotId(slot), images), base));
          CHECK(extents.back().begin % kCacheLineBytes == 0);
        }
        CHECK(extents.size() == 3 + slots);
        CHECK(disjoint_and_ascending(extents, layout.bytes()));
        CHECK(layout.bytes() % kPageBytes == 0);
        CHECK(layout.bytes() - extents.back().end < 2 * kPageBytes);  // no unexplained slack
      }
}

TEST_CASE("the rings of a channel take a record of every slot at once") {
  for (std::uint32_t slots = 1; slots < 70; ++slots) {
    const ChannelLayout layout{slots, 1, {1}};
    CHECK(layout.ring_capacity() >= slots);
    CHECK(layout.ring_capacity() < 2 * std::uint64_t{slots});
    CHECK(std::has_single_bit(layout.ring_capacity()));
  }
}

TEST_CASE("records are inside their ring") {
  const ChannelLayout layout{5, 4, {3}};
  const MemoryFile file = file_of(layout.bytes());
  const Channel channel(file, layout);
  const auto tasks = channel.tasks();
  CHECK(tasks.capacity == 8);
  CHECK(reinterpret_cast<std::byte*>(tasks.records + tasks.capacity) <=
        reinterpret_cast<std::byte*>(channel.completions().header));
}

TEST_CASE("both ends of a channel see one memory") {
  const ChannelLayout layout{2, 3, {4}};
  const MemoryFile file = file_of(layout.bytes());
  const Channel one(file, layout);
  const Channel other(file, layout);
  one.output(1, 3)[5] = 42.0F;
  one.status().progress = 7;
  CHECK(other.output(1, 3)[5] == 42.0F);
  CHECK(other.status().progress == 7);
  CHECK(other.output(1, 2).size() == 8);
}

TEST_CASE("the parts of an arena slot begin at pages and do not overlap") {
  for (const std::uint32_t slots : {1U, 3U, 4U})
    for (const std::uint32_t images : {1U, 7U, 500U, 513U}) {
      CAPTURE(slots);
      CAPTURE(images);
      const ArenaLayout layout{slots, images, {3, 5, 7}};
      std::vector<std::byte> memory(layout.bytes());
      std::vector<Extent> extents;
      for (std::uint32_t slot = 0; slot < slots; ++slot) {
        const auto view = slot_view(memory.data(), layout, SlotId(slot), images);
        CHECK(view.floats().size() == images * 105U);
        CHECK(view.labels.size() == images);
        CHECK(view.numbers.size() == images);
        extents.push_back(extent_of(view.bytes, memory.data()));
        extents.push_back(extent_of(view.labels, memory.data()));
        extents.push_back(extent_of(view.numbers, memory.data()));
      }
      for (const Extent& extent : extents) CHECK(extent.begin % kPageBytes == 0);
      CHECK(disjoint_and_ascending(extents, layout.bytes()));
      CHECK(layout.bytes() == slots * layout.slot_bytes());
      CHECK(layout.slot_bytes() == layout.array_bytes(0) + layout.label_bytes() + layout.number_bytes());
      CHECK(layout.bytes() - extents.back().end < kPageBytes);
    }
}

TEST_CASE("a view of fewer images than the slot holds is shorter and begins at the same places") {
  const ArenaLayout layout{2, 10, {1, 2, 2}};
  std::vector<std::byte> memory(layout.bytes());
  const auto whole = slot_view(memory.data(), layout, 1, 10);
  const auto part = slot_view(static_cast<const std::byte*>(memory.data()), layout, 1, 3);
  CHECK(part.floats().size() == 12);
  CHECK(part.labels.size() == 3);
  CHECK(part.bytes.data() == whole.bytes.data());
  CHECK(part.labels.data() == whole.labels.data());
  CHECK(part.numbers.data() == whole.numbers.data());
}

TEST_CASE("layouts larger than four gigabytes do not wrap around") {
  const ArenaLayout arena{64, 65536, {3, 224, 224}};
  CHECK(arena.bytes() > std::uint64_t{64} * 65536 * 3 * 224 * 224 * 4);
  const ChannelLayout channel{64, 65536, {100'000}};
  CHECK(channel.bytes() > std::uint64_t{64} * 65536 * 100'000 * 4);
}

TEST_CASE("rounding up keeps multiples and never shrinks") {
  CHECK(aligned(0, 64) == 0);
  CHECK(aligned(1, 64) == 64);
  CHECK(aligned(64, 64) == 64);
  CHECK(aligned(65, 64) == 128);
}

}  // namespace
}  // namespace tutti::test
