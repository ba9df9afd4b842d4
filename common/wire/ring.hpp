// A bounded single-producer single-consumer queue of fixed-size records in memory that two processes share. No locks
// and no read-modify-write: a process that is killed, at any instruction, leaves a record either published or not.
// It carries no wake-up itself; it only knows whether the consumer is parked (doorbell.hpp wakes it).
//
// Who writes what:
//   tail, closed   producer only    the consumer reads
//   records        producer only    the consumer reads those below tail
//   head, parked   consumer only    the producer reads
//
// Order. A record is written before the tail that publishes it (release), and read after that tail was seen (acquire);
// likewise the consumer's head returns a place. Parking is Dekker's pattern: the producer stores tail and then loads
// parked, the consumer stores parked and then loads tail. All four are sequentially consistent, so that at least one of
// the two sees the other's store: a record is never left behind with a sleeping consumer. (Fences would do as well,
// but ThreadSanitizer does not understand them.) tests/model/channel.pml follows this file access by access: if you
// change an order here, change it there too and run scripts/model-check.
//
// Trust. Each end keeps its own index in private memory and only ever stores it to the shared one; what it reads of
// the peer's index is checked against its own. If the peer writes nonsense, the result is `corrupt`, never an access
// outside the ring.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "common/check.hpp"
#include "common/wire/shared_memory.hpp"

namespace tutti {

enum class RingStatus {
  ok,
  would_block,  ///< push: full; pop: empty
  closed,       ///< push: this end was closed; pop: the producer closed, and everything was popped
  corrupt,      ///< the peer's index is impossible: it broke the protocol
};

/// The shared part in front of the records.
struct RingHeader {
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> tail;  ///< records published so far
  std::atomic<std::uint32_t> closed;                         ///< 1: nothing will be published any more
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> head;  ///< records consumed so far
  std::atomic<std::uint32_t> parked;                         ///< 1: the consumer sleeps, or is about to
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(RingHeader) == 2 * kCacheLineBytes);

/// Where a ring is in shared memory. Copies.
template <class Record>
struct RingPlace {
  static_assert(std::is_trivially_copyable_v<Record>);
  RingHeader* header = nullptr;
  Record* records = nullptr;
  std::uint64_t capacity = 0;  ///< a power of two

  static constexpr std::uint64_t bytes(std::uint64_t capacity) {
    return aligned(sizeof(RingHeader) + capacity * sizeof(Record), kCacheLineBytes);
  }
  /// The ring at `memory`, which is zeroed, aligned to a cache line, and bytes(capacity) long.
  static RingPlace at(std::byte* memory, std::uint64_t capacity) {
    TUTTI_CHECK(std::has_single_bit(capacity));
    TUTTI_CHECK(reinterpret_cast<std::uintptr_t>(memory) % kCacheLineBytes == 0);
    return {reinterpret_cast<RingHeader*>(memory), reinterpret_cast<Record*>(memory + sizeof(RingHeader)), capacity};
  }
};

/// The writing end. One thread of one process; neither copies nor moves between processes.
template <class Record>
class RingProducer {
 public:
  explicit RingProducer(RingPlace<Record> place) : place_(place) {}

  RingStatus push(const Record& record) {
    if (closed_) return RingStatus::closed;
    const std::uint64_t head = place_.header->head.load(std::memory_order_acquire);
    const std::uint64_t used = tail_ - head;  // wraps to a huge number if head is ahead of tail
    if (used > place_.capacity) return RingStatus::corrupt;
    if (used == place_.capacity) return RingStatus::would_block;
    place_.records[tail_ & (place_.capacity - 1)] = record;
    place_.header->tail.store(++tail_, std::memory_order_seq_cst);
    return RingStatus::ok;
  }

  /// How many records the peer says it has popped; it may be any number.
  std::uint64_t taken() const { return place_.header->head.load(std::memory_order_acquire); }
  /// Whether something that was pushed has not been popped.
  bool unread() const { return taken() != tail_; }

  /// Call it after a push: true if the doorbell must ring.
  bool consumer_is_parked() const { return place_.header->parked.load(std::memory_order_seq_cst) != 0; }

  /// Records that were pushed can still be popped; after them the consumer gets `closed`.
  void close() {
    closed_ = true;
    place_.header->closed.store(1, std::memory_order_seq_cst);
  }

 private:
  RingPlace<Record> place_;
  std::uint64_t tail_ = 0;
  bool closed_ = false;
};

/// The reading end. One thread of one process.
template <class Record>
class RingConsumer {
 public:
  explicit RingConsumer(RingPlace<Record> place) : place_(place) {}

  /// Copies the next record out; use only the copy, since the peer can still write to the original.
  RingStatus pop(Record& record) {
    // closed before tail: a tail that is read after `closed` was seen is the last one.
    const bool closed = place_.header->closed.load(std::memory_order_seq_cst) != 0;
    const std::uint64_t tail = place_.header->tail.load(std::memory_order_seq_cst);
    const std::uint64_t ready = tail - head_;
    if (ready > place_.capacity) return RingStatus::corrupt;
    if (ready == 0) return closed ? RingStatus::closed : RingStatus::would_block;
    record = place_.records[head_ & (place_.capacity - 1)];
    place_.header->head.store(++head_, std::memory_order_release);
    return RingStatus::ok;
  }

  /// Whether there is something to pop.
  bool ready() const { return place_.header->tail.load(std::memory_order_acquire) != head_; }

  /// Announces sleep. The caller must pop once more after it, and may sleep only if that says would_block.
  void park() { place_.header->parked.store(1, std::memory_order_seq_cst); }
  void unpark() { place_.header->parked.store(0, std::memory_order_seq_cst); }

 private:
  RingPlace<Record> place_;
  std::uint64_t head_ = 0;
};

}  // namespace tutti
