// The rings: order, bounds, the end, a peer that lies, and the handshake of parking between two threads.
#include "common/wire/ring.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "common/wire/doorbell.hpp"

namespace tutti::test {
namespace {

/// Four fields that must always agree: a record that is read while it is written shows.
struct Quad {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  std::uint64_t d = 0;
  static Quad of(std::uint64_t n) { return {n, n * 3, ~n, n ^ 0x5555}; }
  friend bool operator==(const Quad&, const Quad&) = default;
};

/// Memory of a ring with a margin on both sides in which nothing may be written.
class RingMemory {
 public:
  explicit RingMemory(std::uint64_t capacity)
      : capacity_(capacity), lines_(RingPlace<Quad>::bytes(capacity) / kCacheLineBytes + 2) {
    lines_.front().bytes.fill(kMark);
    lines_.back().bytes.fill(kMark);
  }
  RingPlace<Quad> place() { return RingPlace<Quad>::at(lines_[1].bytes.data(), capacity_); }
  bool margin_is_whole() const { return lines_.front().is(kMark) && lines_.back().is(kMark); }

 private:
  static constexpr std::byte kMark{0xA5};
  struct alignas(kCacheLineBytes) Line {
    std::array<std::byte, kCacheLineBytes> bytes{};
    bool is(std::byte mark) const {
      for (const std::byte b : bytes)
        if (b != mark) return false;
      return true;
    }
  };
  std::uint64_t capacity_;
  std::vector<Line> lines_;
};

TEST_CASE("a ring gives back what was pushed in the same order") {
  RingMemory memory(8);
  RingProducer<Quad> producer(memory.place());
  RingConsumer<Quad> consumer(memory.place());
  for (std::uint64_t n = 0; n < 5; ++n) REQUIRE(producer.push(Quad::of(n)) == RingStatus::ok);
  for (std::uint64_t n = 0; n < 5; ++n) {
    Quad record;
    REQUIRE(consumer.pop(record) == RingStatus::ok);
    CHECK(record == Quad::of(n));
  }
}

TEST_CASE("a full ring rejects records and keeps what it holds") {
  for (const std::uint64_t capacity : {1U, 2U, 4U, 64U}) {
    CAPTURE(capacity);
    RingMemory memory(capacity);
    RingProducer<Quad> producer(memory.place());
    RingConsumer<Quad> consumer(memory.place());
    for (std::uint64_t n = 0; n < capacity; ++n) REQUIRE(producer.push(Quad::of(n)) == RingStatus::ok);
    CHECK(producer.push(Quad::of(99)) == RingStatus::would_block);
    Quad record;
    REQUIRE(consumer.pop(record) == RingStatus::ok);
    CHECK(record == Quad::of(0));
    CHECK(producer.push(Quad::of(capacity)) == RingStatus::ok);
    CHECK(producer.push(Quad::of(99)) == RingStatus::would_block);
    CHECK(memory.margin_is_whole());
  }
}

TEST_CASE("an empty ring has nothing and leaves the record as it was") {
  RingMemory memory(2);
  RingConsumer<Quad> consumer(memory.place());
  Quad record = Quad::of(7);
  CHECK(consumer.pop(record) == RingStatus::would_block);
  CHECK(record == Quad::of(7));
}

TEST_CASE("a ring goes round many times at every filling") {
  for (const std::uint64_t capacity : {1U, 2U, 8U}) {
    RingMemory memory(capacity);
    RingProducer<Quad> producer(memory.place());
    RingConsumer<Quad> consumer(memory.place());
    std::uint64_t pushed = 0;
    std::uint64_t popped = 0;
    for (std::uint64_t round = 0; round < 1000; ++round) {
      for (std::uint64_t i = 0; i <= round % capacity; ++i)
        REQUIRE(producer.push(Quad::of(pushed++)) == RingStatus::ok);
      for (Quad record; consumer.pop(record) == RingStatus::ok;) REQUIRE(record == Quad::of(popped++));
    }
    CHECK(popped == pushed);
    CHECK(memory.margin_is_whole());
  }
}

TEST_CASE("a closed ring still gives out what it holds and then says closed") {
  RingMemory memory(4);
  RingProducer<Quad> producer(memory.place());
  RingConsumer<Quad> consumer(memory.place());
  REQUIRE(producer.push(Quad::of(1)) == RingStatus::ok);
  REQUIRE(producer.push(Quad::of(2)) == RingStatus::ok);
  producer.close();
  CHECK(producer.push(Quad::of(3)) == RingStatus::closed);
  Quad record;
  CHECK(consumer.pop(record) == RingStatus::ok);
  CHECK(consumer.pop(record) == RingStatus::ok);
  CHECK(record == Quad::of(2));
  CHECK(consumer.pop(record) == RingStatus::closed);
  CHECK(consumer.pop(record) == RingStatus::closed);
}

TEST_CASE("a head that the peer falsified is corrupt and nothing is written") {
  for (const std::uint64_t lie :
       {std::uint64_t{3}, std::uint64_t{1} << 63, ~std::uint64_t{0} - 1, std::uint64_t{1000}}) {
    CAPTURE(lie);
    RingMemory memory(4);
    RingProducer<Quad> producer(memory.place());
    REQUIRE(producer.push(Quad::of(0)) == RingStatus::ok);
    REQUIRE(producer.push(Quad::of(1)) == RingStatus::ok);
    memory.place().header->head = lie;
    if (lie == ~std::uint64_t{0} - 1)
      CHECK(producer.push(Quad::of(9)) == RingStatus::would_block);  // looks full: it blocks, at worst for ever
    else
      CHECK(producer.push(Quad::of(9)) == RingStatus::corrupt);
    CHECK(memory.place().header->tail == 2);
    CHECK(memory.margin_is_whole());
  }
}

TEST_CASE("a tail that the peer falsified is corrupt and nothing is read") {
  for (const std::uint64_t lie : {std::uint64_t{0}, std::uint64_t{6}, ~std::uint64_t{0}, std::uint64_t{1} << 40}) {
    CAPTURE(lie);
    RingMemory memory(4);
    RingProducer<Quad> producer(memory.place());
    RingConsumer<Quad> consumer(memory.place());
    Quad record;
    REQUIRE(producer.push(Quad::of(0)) == RingStatus::ok);
    REQUIRE(consumer.pop(record) == RingStatus::ok);
    memory.place().header->tail = lie;
    CHECK(consumer.pop(record) == RingStatus::corrupt);
    CHECK(record == Quad::of(0));
  }
}

TEST_CASE("an end believes its own index and not what the peer wrote over it") {
  RingMemory memory(4);
  RingProducer<Quad> producer(memory.place());
  RingConsumer<Quad> consumer(memory.place());
  Quad record;
  for (std::uint64_t n = 0; n < 3; ++n) REQUIRE(producer.push(Quad::of(n)) == RingStatus::ok);
  memory.place().header->head = 2;  // only the consumer may write it, and it knows better
  REQUIRE(consumer.pop(record) == RingStatus::ok);
  CHECK(record == Quad::of(0));
}

TEST_CASE("each end can see without touching it whether something waits in the ring") {
  RingMemory memory(4);
  RingProducer<Quad> producer(memory.place());
  RingConsumer<Quad> consumer(memory.place());
  CHECK_FALSE(producer.unread());
  CHECK_FALSE(consumer.ready());
  Quad record;
  for (std::uint64_t n = 0; n < 10; ++n) {
    REQUIRE(producer.push(Quad::of(2 * n)) == RingStatus::ok);
    REQUIRE(producer.push(Quad::of(2 * n + 1)) == RingStatus::ok);
    for (std::uint64_t left = 2; left > 0; --left) {
      CHECK(producer.unread());
      CHECK(consumer.ready());
      CHECK(consumer.ready());
      REQUIRE(consumer.pop(record) == RingStatus::ok);
      CHECK(record == Quad::of(2 * n + 2 - left));
    }
    CHECK_FALSE(producer.unread());
    CHECK_FALSE(consumer.ready());
  }
}

TEST_CASE("parking is seen by the producer until the consumer takes it back") {
  RingMemory memory(2);
  const RingProducer<Quad> producer(memory.place());
  RingConsumer<Quad> consumer(memory.place());
  CHECK_FALSE(producer.consumer_is_parked());
  consumer.park();
  CHECK(producer.consumer_is_parked());
  consumer.unpark();
  CHECK_FALSE(producer.consumer_is_parked());
}

/// The records that a thread popped from a ring.
struct Received {
  std::uint64_t records = 0;
  bool in_order = true;
  bool overslept = false;
};

// The consumer as worker and coordinator do it: pop, park, look once more, sleep on the bell.
Received consume(RingPlace<Quad> place, Doorbell& bell) {
  constexpr int kOverslept = 30'000;
  RingConsumer<Quad> consumer(place);
  Received received;
  for (bool parked = false;;) {
    Quad record;
    const RingStatus status = consumer.pop(record);
    if (status == RingStatus::ok) {
      if (parked) consumer.unpark();
      parked = false;
      received.in_order = received.in_order && record == Quad::of(received.records);
      ++received.records;
    } else if (status != RingStatus::would_block) {
      return received;
    } else if (!parked) {
      consumer.park();
      parked = true;
    } else {
      pollfd end{bell.fd(), POLLIN, 0};
      received.overslept = ::poll(&end, 1, kOverslept) == 0;
      if (received.overslept) return received;
      bell.silence();
      consumer.unpark();
      parked = false;
    }
  }
}

Received pass_through(std::uint64_t capacity, std::uint64_t records) {
  RingMemory memory(capacity);
  Doorbell bell = Doorbell::create();
  Received received;
  std::thread reader([&] { received = consume(memory.place(), bell); });
  RingProducer<Quad> producer(memory.place());
  for (std::uint64_t n = 0; n < records;) {
    if (producer.push(Quad::of(n)) == RingStatus::ok) {
      ++n;
      if (producer.consumer_is_parked()) bell.ring();
    } else {
      std::this_thread::yield();
    }
  }
  producer.close();
  bell.ring();
  reader.join();
  return received;
}

TEST_CASE("no record is lost and no sleeper is left behind between two threads") {
  const Received received = pass_through(64, 200'000);
  CHECK(received.records == 200'000);
  CHECK(received.in_order);
  CHECK_FALSE(received.overslept);
}

TEST_CASE("a ring of one record loses none between two threads") {
  const Received received = pass_through(1, 100'000);
  CHECK(received.records == 100'000);
  CHECK(received.in_order);
  CHECK_FALSE(received.overslept);
}

TEST_CASE("a ring of two records loses none between two threads") {
  const Received received = pass_through(2, 100'000);
  CHECK(received.records == 100'000);
  CHECK(received.in_order);
  CHECK_FALSE(received.overslept);
}

}  // namespace
}  // namespace tutti::test
