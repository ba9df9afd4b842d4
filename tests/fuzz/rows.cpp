// The index of rows in the memory of another worker, with any bytes: it is refused, or every number of it can be used.
#include "common/wire/rows.hpp"

#include <cstring>

#include "common/wire/channel.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tutti;
using fuzz::must;

namespace {

constexpr std::uint32_t kSamples = 6;
constexpr std::uint32_t kMost = 3;
constexpr SegmentId kSegment{2};

/// A channel that its writer fills with anything.
class Written {
 public:
  Written() { file_.seal_size(); }
  RowIndex copy(const std::uint8_t* data, std::size_t size) {
    std::byte* const index = memory_.data() + layout_.index_offset(SlotId(0), Seat(0));
    std::memset(index, 0, kBytes);
    std::memcpy(index, data, std::min(size, kBytes));
    return outputs_.index(SlotId(0), kSamples);
  }
  std::span<const float> rows(std::uint32_t count) const { return outputs_.output(SlotId(0), count); }

 private:
  static constexpr std::size_t kBytes = sizeof(RowIndexHeader) + kSamples * sizeof(std::uint32_t);
  static MemoryFile made(const ChannelLayout& layout) {
    MemoryFile file = MemoryFile::create("fuzz");
    file.allocate(layout.bytes(), "a channel");
    return file;
  }

  ChannelLayout layout_{1, kSamples, {2}, {kMost}};
  MemoryFile file_ = made(layout_);
  Mapping memory_{file_, Access::read_write, "a channel"};
  ChannelOutputs outputs_{MemoryFile(file_.for_reader()), layout_, Seat(0)};
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Written written;
  const RowIndex index = written.copy(data, size);
  if (const auto fault = fault_in(index, kSegment, kSamples, kMost)) {
    must(text_of(static_cast<std::uint64_t>(*fault)) != text_of(0), "what is wrong has a text");
    return 0;
  }
  const std::vector<std::uint32_t> owners = owners_of(index.counts);
  must(owners.size() == index.header.rows, "the counts are those of all rows");
  must(owners.size() <= std::size_t{kSamples} * kMost, "there are no more rows than the slot has room for");
  must(std::ranges::is_sorted(owners) && (owners.empty() || owners.back() < kSamples), "a row belongs to a sample");
  must(written.rows(index.header.rows).size() == owners.size() * 2, "every row is in the slot");
  return 0;
}
