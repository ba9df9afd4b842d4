// The work of training: gives every member that has epochs left the segments of one epoch, labelled and in an order
// that depends only on the seed; or, to collect statistics, the images in their own order, without labels. The members
// train in their workers, in parallel, on one copy of the images.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <tutti/status.hpp>

#include "common/values.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// Throws Error(usage) if the members of this plan cannot be trained, or not on this source.
void check_trains(const Plan& plan, Learns learns, const Source& source);

/// One epoch of all members. The source outlives it.
class Epoch final : public Work {
 public:
  /// `number` counts from 1. Labels must be below `classes`. Equal seeds give equal
  /// orders; different epochs different ones. `final_for_some`: some member takes part in this epoch and not in the
  /// next one, or there is no next one.
  Epoch(Source& source, Learns learns, std::uint64_t seed, std::uint32_t number, std::uint32_t classes,
        ByRank<bool> asked, bool final_for_some);

  bool has_more() const override { return next_ < order_.size(); }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override;
  void deliver(const FinishedSegment& finished) override;
  /// Called after fill(). True if some member trains on no later segment, and so makes its last checkpoint here.
  bool last() const override { return final_for_some_ && !has_more(); }

  /// The results of the members that took part, after the last segment. A member that answered only some of its
  /// segments was lost during the epoch and has no result.
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
