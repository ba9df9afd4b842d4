// The memory between the coordinator and one worker generation: task ring, completion ring, status, output slots. The
// layout and the two ends; creating, inheriting and dropping it happens elsewhere.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/wire/records.hpp"
#include "common/wire/ring.hpp"
#include "common/wire/rows.hpp"
#include "common/wire/shared_memory.hpp"

namespace tutti {

/// Written only by the worker's computing threads.
struct WorkerStatus {
  alignas(kCacheLineBytes)
      std::atomic<std::uint64_t> progress;  ///< batches finished, of all kinds, and checkpoints written
};

/// The most values per image that a member may output, in all rows together; with the bounds of the configuration no
/// sum of bytes overflows.
constexpr std::uint32_t kMaxWidth = 1U << 24;
static_assert(kMostRowValues == kMaxWidth);

/// Both sides compute it from the same numbers, which the control message `start` carries. An output slot has a part
/// for each member of the unit, by seat: its rows, and behind them their index, if a sample may have several.
class ChannelLayout {
 public:
  /// `slots`: as many as the arena has. `images`: per slot. `widths`: the values of a row, by seat. `rows`: the most
  /// rows of an image, by seat; 0, or missing: one, and there is no index.
  ChannelLayout(std::uint32_t slots, std::uint32_t images, std::vector<std::uint32_t> widths,
                std::vector<std::uint32_t> rows = {})
      : slots_(slots), images_(images), widths_(std::move(widths)), rows_(std::move(rows)) {
    rows_.resize(widths_.size());
    offsets_.push_back(0);
    for (std::uint32_t seat = 0; seat < seats(); ++seat) {
      const std::uint64_t index = rows_[seat] == 0 ? 0 : index_bytes();
      offsets_.push_back(offsets_.back() + values_bytes(Seat(seat)) + index);
    }
  }

  std::uint32_t slots() const noexcept { return slots_; }
  std::uint32_t images() const noexcept { return images_; }
  std::uint32_t seats() const noexcept { return static_cast<std::uint32_t>(widths_.size()); }
  std::uint32_t width(Seat seat) const { return widths_.at(seat.value()); }
  /// The most rows of an image that an index counts; 0: each has one row, and there is no index.
  std::uint32_t rows(Seat seat) const { return rows_.at(seat.value()); }
  /// The most rows of so many images.
  std::uint64_t rows_of(std::uint32_t images, Seat seat) const {
    return std::uint64_t{images} * std::max<std::uint32_t>(1, rows(seat));
  }

  /// Every segment in flight has a slot, and each member answers it once, so no ring ever holds more records: the
  /// worker never blocks on its completion ring.
  std::uint64_t ring_capacity() const { return std::bit_ceil(std::uint64_t{slots_} * widths_.size()); }
  std::uint64_t status_offset() const { return 0; }
  std::uint64_t tasks_offset() const { return aligned(sizeof(WorkerStatus), kCacheLineBytes); }
  std::uint64_t completions_offset() const { return tasks_offset() + RingPlace<TaskRecord>::bytes(ring_capacity()); }
  std::uint64_t outputs_offset() const {
    return aligned(completions_offset() + RingPlace<CompletionRecord>::bytes(ring_capacity()), kPageBytes);
  }
  std::uint64_t output_slot_bytes() const { return offsets_.back(); }
  /// Where the member's part of a slot begins.
  std::uint64_t part_offset(Seat seat) const { return offsets_.at(seat.value()); }
  /// Where its part of this slot begins in the channel.
  std::uint64_t output_offset(SlotId slot, Seat seat) const {
    return outputs_offset() + slot.value() * output_slot_bytes() + part_offset(seat);
  }
  /// Where the index of these rows begins; only if there is one.
  std::uint64_t index_offset(SlotId slot, Seat seat) const { return output_offset(slot, seat) + values_bytes(seat); }
  std::uint64_t bytes() const { return aligned(outputs_offset() + slots_ * output_slot_bytes(), kPageBytes); }

 private:
  std::uint64_t values_bytes(Seat seat) const {
    return aligned(rows_of(images_, seat) * width(seat) * sizeof(float), kCacheLineBytes);
  }
  std::uint64_t index_bytes() const {
    return aligned(sizeof(RowIndexHeader) + std::uint64_t{images_} * sizeof(std::uint32_t), kCacheLineBytes);
  }

  std::uint32_t slots_;
  std::uint32_t images_;
  std::vector<std::uint32_t> widths_;
  std::vector<std::uint32_t> rows_;
  std::vector<std::uint64_t> offsets_;  // by seat, and the end
};

/// `file`, if it has as many bytes as its layout. Throws Error(failed): a peer had it before it was sealed.
inline const MemoryFile& channel_of_size(const MemoryFile& file, std::uint64_t bytes) {
  if (file.size() == bytes) return file;
  throw Error(ErrorKind::failed, "a worker's channel does not have the size that it was given");
}

/// The mapped channel, from either side.
class Channel {
 public:
  /// `file` is sealed and has layout.bytes() bytes. Throws Error(failed) if its size differs: the peer had it before it
  /// was sealed.
  Channel(const MemoryFile& file, ChannelLayout layout)
      : layout_(std::move(layout)),
        mapping_(channel_of_size(file, layout_.bytes()), Access::read_write, "a worker's channel") {}

  RingPlace<TaskRecord> tasks() const {
    return RingPlace<TaskRecord>::at(mapping_.data() + layout_.tasks_offset(), layout_.ring_capacity());
  }
  RingPlace<CompletionRecord> completions() const {
    return RingPlace<CompletionRecord>::at(mapping_.data() + layout_.completions_offset(), layout_.ring_capacity());
  }
  WorkerStatus& status() const { return *reinterpret_cast<WorkerStatus*>(mapping_.data() + layout_.status_offset()); }
  /// The member's answers for `count` images in `slot`, row-major; all within the layout. If a sample may have several
  /// rows: the room for as many as there can be.
  std::span<float> output(SlotId slot, std::uint32_t count, Seat seat = {}) const {
    TUTTI_CHECK(slot.value() < layout_.slots());
    TUTTI_CHECK(count <= layout_.images());
    TUTTI_CHECK(seat.value() < layout_.seats());
    std::byte* base = mapping_.data() + layout_.output_offset(slot, seat);
    return {reinterpret_cast<float*>(base), layout_.rows_of(count, seat) * layout_.width(seat)};
  }
  /// Writes the index of the rows in `slot`; only if the layout has one.
  void write_index(SlotId slot, const RowIndex& index, Seat seat = {}) const {
    TUTTI_CHECK(slot.value() < layout_.slots());
    TUTTI_CHECK(layout_.rows(seat) > 0 && index.counts.size() <= layout_.images());
    std::byte* const begin = mapping_.data() + layout_.index_offset(slot, seat);
    std::memcpy(begin, &index.header, sizeof index.header);
    if (!index.counts.empty())
      std::memcpy(begin + sizeof index.header, index.counts.data(), index.counts.size() * sizeof(std::uint32_t));
  }
  const ChannelLayout& layout() const noexcept { return layout_; }

  /// The descriptor that readers of its outputs get, as long as the channel is there; -1: nobody else reads it.
  int reader_fd() const noexcept { return reader_.get(); }
  void let_read(UniqueFd reader) { reader_ = std::move(reader); }

 private:
  ChannelLayout layout_;
  Mapping mapping_;
  UniqueFd reader_;
};

/// The outputs in the channel of another worker. They can only be read.
class ChannelOutputs {
 public:
  /// As Channel().
  ChannelOutputs(const MemoryFile& file, ChannelLayout layout, Seat seat)
      : layout_(std::move(layout)),
        seat_(seat),
        mapping_(channel_of_size(file, layout_.bytes()), Access::read_only, "the channel of another worker") {
    TUTTI_CHECK(seat.value() < layout_.seats());
    mapping_.exclude_from_core_dumps();  // they are not what this worker wrote
  }

  /// The first `rows` rows in `slot`, one for each sample unless an index counts them; all within the layout.
  std::span<const float> output(SlotId slot, std::uint32_t rows) const {
    TUTTI_CHECK(slot.value() < layout_.slots());
    TUTTI_CHECK(rows <= layout_.rows_of(layout_.images(), seat_));
    const std::byte* const begin = mapping_.data() + layout_.output_offset(slot, seat_);
    return {reinterpret_cast<const float*>(begin), std::size_t{rows} * layout_.width(seat_)};
  }
  /// A copy of the index of the rows of `samples` samples in `slot`, of which nothing was checked: its writer may write
  /// what it likes, at any time. Only if the layout has one.
  RowIndex index(SlotId slot, std::uint32_t samples) const {
    TUTTI_CHECK(slot.value() < layout_.slots());
    TUTTI_CHECK(layout_.rows(seat_) > 0 && samples <= layout_.images());
    const std::byte* const begin = mapping_.data() + layout_.index_offset(slot, seat_);
    RowIndex copy;
    copy.counts.resize(samples);
    std::memcpy(&copy.header, begin, sizeof copy.header);
    if (samples > 0) std::memcpy(copy.counts.data(), begin + sizeof copy.header, samples * sizeof(std::uint32_t));
    return copy;
  }
  std::uint32_t width() const { return layout_.width(seat_); }
  std::uint32_t rows() const { return layout_.rows(seat_); }

 private:
  ChannelLayout layout_;
  Seat seat_;
  Mapping mapping_;
};

}  // namespace tutti
