// The two ends of a ring whose shared memory somebody else writes to between their calls: headers, indices, records.
// Each answer is compared with what the definition of the ring says about the memory as it is at that moment, and
// nothing outside the ring is touched (AddressSanitizer: the memory is no byte longer than the ring).
#include "common/wire/ring.hpp"

#include <memory>
#include <new>

#include "common/wire/records.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tutti;
using fuzz::must;

namespace {

class Adversary {
 public:
  explicit Adversary(std::uint64_t capacity)
      : bytes_(RingPlace<CompletionRecord>::bytes(capacity)),
        memory_(static_cast<std::byte*>(::operator new(bytes_, kLine))),
        place_(RingPlace<CompletionRecord>::at(memory_.get(), capacity)),
        producer_(place_),
        consumer_(place_) {
    std::memset(memory_.get(), 0, bytes_);
  }

  void step(fuzz::Input& input) {
    switch (input.below(9)) {
      case 0:
        return push(input);
      case 1:
        return pop();
      case 2:
        return consumer_.park();
      case 3:
        return consumer_.unpark();
      case 4:
        must(producer_.consumer_is_parked() == (place_.header->parked != 0), "parked is read as it stands there");
        return;
      case 5:
        producer_.close();
        closed_ = true;
        return;
      case 6:
        place_.header->tail = near(input, popped_);
        return;
      case 7:
        place_.header->head = near(input, pushed_);
        return;
      default:
        scribble(input);
    }
  }

 private:
  static constexpr std::align_val_t kLine{kCacheLineBytes};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, kLine); }
  };

  /// Any number, or one that is nearly right: the interesting ones are few among 2^64.
  static std::uint64_t near(fuzz::Input& input, std::uint64_t right) {
    const auto difference = input.take<std::int8_t>();
    return difference == 127 ? input.take<std::uint64_t>() : right + static_cast<std::uint64_t>(difference);
  }
  void scribble(fuzz::Input& input) {
    const std::size_t at = input.take<std::uint16_t>() % bytes_;
    memory_.get()[at] = input.take<std::byte>();
  }

  void push(fuzz::Input& input) {
    const std::uint64_t used = pushed_ - place_.header->head;
    CompletionRecord record;
    record.sequence = Sequence(input.take<std::uint64_t>());
    const RingStatus status = producer_.push(record);
    if (closed_) return must(status == RingStatus::closed, "a closed end takes nothing");
    if (used > place_.capacity) return must(status == RingStatus::corrupt, "an impossible head is seen");
    if (used == place_.capacity) return must(status == RingStatus::would_block, "a full ring refuses");
    must(status == RingStatus::ok, "a ring with a place takes a record");
    must(place_.records[pushed_ % place_.capacity].sequence == record.sequence, "the record is in its place");
    must(place_.header->tail == ++pushed_, "the producer publishes its own count");
  }

  void pop() {
    const std::uint64_t ready = place_.header->tail - popped_;
    const bool closed = place_.header->closed != 0;
    const CompletionRecord there = place_.records[popped_ % place_.capacity];
    CompletionRecord record;
    record.segment = kUntouched;
    const RingStatus status = consumer_.pop(record);
    if (status != RingStatus::ok) must(record.segment == kUntouched, "without a record nothing is written");
    if (ready > place_.capacity) return must(status == RingStatus::corrupt, "an impossible tail is seen");
    if (ready == 0)
      return must(status == (closed ? RingStatus::closed : RingStatus::would_block), "an empty ring has nothing");
    must(status == RingStatus::ok, "a ring with a record gives it");
    must(std::memcmp(&record, &there, sizeof record) == 0, "the record is a copy of what was there");
    must(place_.header->head == ++popped_, "the consumer hands back its own count");
  }

  static constexpr SegmentId kUntouched{std::uint64_t{0x7475747469}};

  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
  RingPlace<CompletionRecord> place_;
  RingProducer<CompletionRecord> producer_;
  RingConsumer<CompletionRecord> consumer_;
  std::uint64_t pushed_ = 0;
  std::uint64_t popped_ = 0;
  bool closed_ = false;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Adversary adversary(std::uint64_t{1} << input.below(4));
  while (!input.empty()) adversary.step(input);
  return 0;
}
