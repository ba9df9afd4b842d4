// The work of training: one epoch's segments, labelled and in an order that depends on the seed alone, to every member
// that has epochs left; of statistics the images as they come, without labels. The members learn in their workers, side
// by side, from one copy of the images.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <tutti/status.hpp>

#include "common/values.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// One epoch of all members. The source outlives it.
class Epoch final : public Work {
 public:
  /// `number` counts from 1. Labels must be below `classes`. Equal seeds give equal
  /// orders; different epochs different ones. `final_for_some`: a member that is asked is not asked in the next epoch,
  /// or there is no next one.
  Epoch(Source& source, Learns learns, std::uint64_t seed, std::uint32_t number, std::uint32_t classes,
        ByRank<bool> asked, bool final_for_some);

  bool has_more() const override { return next_ < order_.size(); }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override;
  void deliver(const FinishedSegment& finished) override;
  /// Asked after fill(): a member learns from no later segment, so that this is where it makes its last checkpoint.
  bool last() const override { return final_for_some_ && !has_more(); }

  /// Of the members that were asked, after the last segment. A member that answered some of its segments and not
  /// others was lost on the way: it has no result.
  std::vector<EpochResult> results() const;

 private:
  struct Sums {
    double loss = 0;
    std::uint64_t correct = 0;
    std::uint64_t images = 0;
    std::uint64_t nanoseconds = 0;
    bool complete = true;  ///< no answer is missing
  };
  Source& source_;
  bool labelled_;
  std::uint32_t number_;
  std::uint32_t classes_;
  ByRank<bool> asked_;
  bool final_for_some_;
  std::vector<std::uint64_t> order_;
  std::size_t next_ = 0;
  ByRank<Sums> sums_;
};

}  // namespace tutti
