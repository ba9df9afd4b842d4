// The answers to a segment whose members were asked in rounds (a cascade), by sample of the segment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "coordinator/decide/cascade.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// One segment at a time; one thread. The cascade outlives it.
class RoundAnswers {
 public:
  explicit RoundAnswers(const Cascade& cascade) : cascade_(cascade), places_(cascade.rounds()) {}

  /// What follows is about this segment, which outlives it. `arena` is the one in whose slot it is.
  void look_at(const FinishedSegment& finished, const std::byte* arena, const ArenaLayout& layout);

  /// The rounds that asked for this sample, as bits.
  std::uint32_t rounds_of(std::uint32_t sample) const { return rounds_of_[sample]; }
  /// The samples that all of these rounds asked for, ascending.
  std::vector<std::uint32_t> asked_in(std::uint32_t rounds) const;
  /// For each sample whether this round asked for it, 1 or 0.
  std::vector<std::uint8_t> flags_of(Round round) const;
  /// The predictions of a member that is present, of `width` values each, for samples that its round asked for: where
  /// they are, or put together in `memory`.
  std::span<const float> of(Rank rank, std::uint32_t width, std::span<const std::uint32_t> samples,
                            std::vector<float>& memory) const;

 private:
  const Cascade& cascade_;
  const FinishedSegment* finished_ = nullptr;
  std::vector<std::uint32_t> rounds_of_;            // by sample
  std::vector<std::vector<std::uint32_t>> places_;  // by round and sample: the how many-th of its round it is
};

}  // namespace tutti
