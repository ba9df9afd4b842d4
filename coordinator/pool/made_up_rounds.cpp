#include "coordinator/pool/made_up_rounds.hpp"

#include <algorithm>
#include <memory>

#include "common/check.hpp"
#include "common/tensor_values.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

MadeUpRounds::MadeUpRounds(Pool& pool, const Groups& groups)
    : pool_(pool),
      groups_(groups),
      written_(pool.plan().arena.slots, std::vector<std::size_t>(pool.plan().arena.arrays.size())) {}

void MadeUpRounds::run(std::uint32_t images, ByRank<std::vector<float>>* answers) {
  images_ = images;
  answers_ = answers;
  filled_ = false;
  const std::size_t members = pool_.plan().members.size();
  if (answers != nullptr) *answers = ByRank<std::vector<float>>(members);
  pool_.exchange().drive(std::make_shared<Stream>(*this, TaskKind::predict, ByRank<bool>(members, true)));
}

std::uint32_t MadeUpRounds::fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) {
  for (std::size_t array = 0; array < layout.arrays.size(); ++array) {
    const auto view = slot_view(arena, layout, slot, images_, array);
    const std::size_t value_bytes = size_of(view.dtype);
    std::size_t& written = written_[slot][array];
    for (; written * value_bytes < view.bytes.size(); ++written)
      write_value(&view.bytes[written * value_bytes], view.dtype, made_up_value(view.dtype, 0, written));
  }
  // That of a sample: the made-up ones are all called so.
  std::ranges::fill(slot_view(arena, layout, slot, images_).numbers, pool_.plan().input.first);
  filled_ = true;
  begin_ = Clock::now();
  return images_;
}

void MadeUpRounds::deliver(const FinishedSegment& finished) {
  TUTTI_CHECK(finished.segment.images == images_, "a round is one segment");
  times_ = {Clock::now() - begin_, {}};
  disturbed_ = finished.segment.set_aside;
  for (const auto& ranks : groups_) {
    BatchSearch::Seconds longest{};
    for (const Rank rank : ranks) {
      const Ledger::Row& row = finished.segment.rows[rank];
      disturbed_ = disturbed_ || row.times > 1;
      if (!row.present) continue;
      longest = std::max<BatchSearch::Seconds>(longest, std::chrono::nanoseconds(row.completion.busy_nanoseconds));
      if (answers_ == nullptr) continue;
      const auto answer = finished.answer(rank);
      (*answers_)[rank].assign(answer.begin(), answer.end());
    }
    times_.busy.push_back(longest);
  }
}

}  // namespace tutti
