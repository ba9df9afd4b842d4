#include "worker/task_samples.hpp"

#include <algorithm>
#include <cstring>

#include "common/check.hpp"

namespace tutti::worker {

TaskSamples::TaskSamples(const MemberRequest& request, const ArenaLayout& layout, const std::byte* arena)
    : request_(request), layout_(layout), arena_(arena), preprocess_(request), gathered_(request.takes.size()) {}

std::optional<IndexFault> TaskSamples::begin(const TaskRecord& task, const ChannelOutputs* fed) {
  TUTTI_CHECK(task.slot.value() < layout_.slots);
  TUTTI_CHECK(task.images <= layout_.images);
  const bool all = task.round == Round{};
  chosen_ = {};
  if (!all) chosen_ = chosen_view(arena_, layout_, task.slot, task.round, task.images);
  for (const std::uint32_t place : chosen_) TUTTI_CHECK(place < layout_.images, "a sample of the slot is chosen");
  arrays_.clear();
  // Of a later round the last place says how many samples of the slot matter.
  const std::uint32_t count = all ? task.images : chosen_.back() + 1;
  fed_ = fed != nullptr;
  rows_ = task.images;
  if (!fed_) {
    for (const TakenTensor& taken : request_.takes)
      arrays_.push_back(slot_view(arena_, layout_, task.slot, count, taken.array));
    return std::nullopt;
  }
  TUTTI_CHECK(fed->width() == request_.seen().elements(), "a stage takes what the one before it outputs");
  TUTTI_CHECK(fed->rows() == request_.fed_rows, "a stage knows how many rows there may be");
  if (fed->rows() > 0) {
    index_ = fed->index(task.slot, task.images);
    if (const auto fault = fault_in(index_, task.segment, task.images, fed->rows())) return fault;
    rows_ = index_.header.rows;
    owners_ = owners_of(index_.counts);
  }
  arrays_ = {slot_view(arena_, layout_, task.slot, count)};  // for the numbers
  arrays_.front().dtype = Dtype::float32;
  arrays_.front().bytes = std::as_bytes(fed->output(task.slot, rows_));
  return std::nullopt;
}

std::uint64_t TaskSamples::first_number() const {
  return arrays_.front().numbers.empty() ? 0 : arrays_.front().numbers.front();
}

/// Of rows of the task.
std::span<const std::uint64_t> TaskSamples::numbers_of(std::uint32_t first, std::uint32_t count) {
  if (request_.fed_rows > 0) {
    numbers_.clear();
    for (const std::uint32_t sample : std::span(owners_).subspan(first, count))
      numbers_.push_back(arrays_.front().numbers[place_of(sample)]);
    return numbers_;
  }
  if (chosen_.empty()) return arrays_.front().numbers.subspan(first, count);
  numbers_.clear();
  for (const std::uint32_t place : chosen_.subspan(first, count)) numbers_.push_back(arrays_.front().numbers[place]);
  return numbers_;
}

Samples TaskSamples::batch(std::uint32_t first, std::uint32_t count) {
  if (chosen_.empty() || fed_) return preprocess_.samples(arrays_, first, count).numbered(numbers_of(first, count));
  const std::span<const std::uint32_t> places = chosen_.subspan(first, count);
  std::vector<SlotView<const std::byte>> arrays;
  for (std::size_t t = 0; t < arrays_.size(); ++t) {
    const SlotView<const std::byte>& from = arrays_[t];
    const std::size_t bytes = layout_.arrays[request_.takes[t].array].bytes();
    auto* const to = reinterpret_cast<std::byte*>(
        gathered_[t].make_room((std::size_t{count} * bytes + sizeof(float) - 1) / sizeof(float)));
    for (std::size_t i = 0; i < places.size(); ++i)
      std::memcpy(to + i * bytes, from.bytes.data() + places[i] * bytes, bytes);
    arrays.push_back({from.dtype, {to, std::size_t{count} * bytes}, {}, {}});
  }
  return preprocess_.samples(arrays, 0, count).numbered(numbers_of(first, count));
}

}  // namespace tutti::worker
