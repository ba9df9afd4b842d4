// Rounds of made-up images through a pool that is not in use yet: how long they take, and what the members answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "common/ids.hpp"
#include "coordinator/decide/chains.hpp"
#include "coordinator/pool/exchange.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {

/// Runs one segment of made-up images after the other, each as a separate stream.
class MadeUpRounds final : public Work {
 public:
  using Seconds = std::chrono::duration<double>;
  /// How long a round took: from handing it out to the last answer, and by rank how long each member computed, with all
  /// of its stages; 0 if it did not answer.
  struct Times {
    Seconds wall{};
    ByRank<Seconds> busy;
  };

  /// The pool outlives it. The images are the same in every pool whose arena has the same arrays.
  explicit MadeUpRounds(Pool& pool);

  /// Runs one segment. With `answers`, what each member answered is kept: by rank, empty if it did not. Throws the
  /// pool's failure.
  void run(std::uint32_t images, ByRank<std::vector<float>>* answers = nullptr);

  const Times& times() const { return times_; }
  /// A worker died: the others had more cores, or waited.
  bool disturbed() const { return disturbed_; }

  bool has_more() const override { return !filled_; }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override;
  void deliver(const FinishedSegment& finished) override;

 private:
  Pool& pool_;
  const Chains chains_;
  BySlot<std::vector<std::size_t>> written_;  // by array: values that are there from earlier rounds
  std::uint32_t images_ = 0;
  ByRank<std::vector<float>>* answers_ = nullptr;
  bool filled_ = false;
  std::chrono::steady_clock::time_point begin_;
  Times times_;
  bool disturbed_ = false;
};

}  // namespace tutti
