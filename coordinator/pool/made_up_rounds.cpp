#include "coordinator/pool/made_up_rounds.hpp"

#include <algorithm>
#include <memory>

#include "common/check.hpp"
#include "common/tensor_values.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

MadeUpRounds::MadeUpRounds(Pool& pool)
    : pool_(pool),
      chains_(pool.plan().chains()),
      written_(pool.plan().arena.slots, std::vector<std::size_t>(pool.plan().arena.arrays.size())) {}

void MadeUpRounds::run(std::uint32_t images, ByRank<std::vector<float>>* answers) {
  images_ = images;
  answers_ = answers;
  filled_ = false;
  const Plan& plan = pool_.plan();
  if (answers != nullptr) *answers = ByRank<std::vector<float>>(plan.combined());
  pool_.exchange().drive(std::make_shared<Stream>(*this, TaskKind::predict, ByRank<bool>(plan.members.size(), true)));
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
  times_ = {Clock::now() - begin_, ByRank<Seconds>(pool_.plan().combined())};
  disturbed_ = finished.segment.set_aside;
  for (const Rank member : times_.busy.ids()) {
    for (const Rank stage : chains_.chain_of(member)) {
      const Ledger::Row& row = finished.segment.rows[stage];
      disturbed_ = disturbed_ || row.times > 1;
      times_.busy[member] += std::chrono::nanoseconds(row.completion.busy_nanoseconds);
    }
    if (!finished.segment.rows[member].present) {
      times_.busy[member] = {};
    } else if (answers_ != nullptr) {
      const auto answer = finished.answer(member);
      (*answers_)[member].assign(answer.begin(), answer.end());
    }
  }
}

}  // namespace tutti
