// Which samples of a segment a later round asks for: those that are doubtful once the members before have predicted
// them. Pure: it depends on the predictions and the description, never on time, so the cut is the same in every run.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/ids.hpp"
#include "config/spec.hpp"

namespace tutti {

class Cascade {
 public:
  /// Every member is asked at once.
  Cascade() = default;
  /// Step k of `steps` leads to round k + 1. Members that no step asks are asked in round 0.
  Cascade(std::vector<config::CascadeStep> steps, std::size_t members);

  bool empty() const noexcept { return steps_.empty(); }
  std::size_t rounds() const noexcept { return steps_.size() + 1; }
  /// When each member is asked; none without a cascade.
  const ByRank<Round>& rounds_of_members() const noexcept { return rounds_; }
  Round round_of(Rank rank) const { return rounds_.empty() ? Round{} : rounds_[rank]; }
  /// The step that leads to a round after the first.
  const config::CascadeStep& step_to(Round round) const { return steps_.at(round.value() - 1U); }
  /// The rounds of the members whose combination decides, as bits.
  std::uint32_t needed_for(Round round) const;

 private:
  std::vector<config::CascadeStep> steps_;
  ByRank<Round> rounds_;
};

/// Whether the combined values of a sample, one for each class, leave it doubtful. NaN does.
bool is_doubtful(const config::CascadeStep& step, std::span<const float> values);

/// The measure of `step`: the largest value, the difference of the two largest, or the entropy -sum p ln p of the
/// values divided by their sum.
double measure_of(config::Doubt measure, std::span<const float> values);

}  // namespace tutti
