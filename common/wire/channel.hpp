// The memory between the coordinator and one worker generation: task ring, completion ring, status, output slots. The
// layout and the two ends; creating, inheriting and dropping it happens elsewhere.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/wire/records.hpp"
#include "common/wire/ring.hpp"
#include "common/wire/shared_memory.hpp"

namespace tutti {

/// Written only by the worker's computing thread.
struct WorkerStatus {
  alignas(kCacheLineBytes)
      std::atomic<std::uint64_t> progress;  ///< batches finished, of all kinds, and checkpoints written
};

/// The most values per image that a member may output; with the bounds of the configuration no sum of bytes overflows.
constexpr std::uint32_t kMaxWidth = 1U << 24;

/// Both sides compute it from the same three numbers, which the control message `start` carries.
struct ChannelLayout {
  std::uint32_t slots = 0;   ///< output slots; equals the arena's slots
  std::uint32_t images = 0;  ///< images per slot
  std::uint32_t width = 0;   ///< values per prediction

  /// Every segment in flight has a slot, so no ring ever holds more records than there are slots: the worker never
  /// blocks on its completion ring.
  std::uint64_t ring_capacity() const { return std::bit_ceil(std::uint64_t{slots}); }
  std::uint64_t status_offset() const { return 0; }
  std::uint64_t tasks_offset() const { return aligned(sizeof(WorkerStatus), kCacheLineBytes); }
  std::uint64_t completions_offset() const { return tasks_offset() + RingPlace<TaskRecord>::bytes(ring_capacity()); }
  std::uint64_t outputs_offset() const {
    return aligned(completions_offset() + RingPlace<CompletionRecord>::bytes(ring_capacity()), kPageBytes);
  }
  std::uint64_t output_slot_bytes() const {
    return aligned(std::uint64_t{images} * width * sizeof(float), kCacheLineBytes);
  }
  std::uint64_t bytes() const { return aligned(outputs_offset() + slots * output_slot_bytes(), kPageBytes); }
};

/// The mapped channel, from either side.
class Channel {
 public:
  /// `file` is sealed and has layout.bytes() bytes. Throws Error(failed) if its size differs: the peer had it before it
  /// was sealed.
  Channel(const MemoryFile& file, const ChannelLayout& layout)
      : layout_(layout), mapping_(of_size(file, layout.bytes()), Access::read_write, "a worker's channel") {}

  RingPlace<TaskRecord> tasks() const {
    return RingPlace<TaskRecord>::at(mapping_.data() + layout_.tasks_offset(), layout_.ring_capacity());
  }
  RingPlace<CompletionRecord> completions() const {
    return RingPlace<CompletionRecord>::at(mapping_.data() + layout_.completions_offset(), layout_.ring_capacity());
  }
  WorkerStatus& status() const { return *reinterpret_cast<WorkerStatus*>(mapping_.data() + layout_.status_offset()); }
  /// The answers for `count` images in `slot`, row-major; both within the layout.
  std::span<float> output(SlotId slot, std::uint32_t count) const {
    TUTTI_CHECK(slot.value() < layout_.slots);
    TUTTI_CHECK(count <= layout_.images);
    std::byte* base = mapping_.data() + layout_.outputs_offset() + slot.value() * layout_.output_slot_bytes();
    return {reinterpret_cast<float*>(base), std::size_t{count} * layout_.width};
  }
  const ChannelLayout& layout() const noexcept { return layout_; }

 private:
  static const MemoryFile& of_size(const MemoryFile& file, std::uint64_t bytes) {
    if (file.size() == bytes) return file;
    throw Error(ErrorKind::failed, "a worker's channel does not have the size that it was given");
  }

  ChannelLayout layout_;
  Mapping mapping_;
};

}  // namespace tutti
