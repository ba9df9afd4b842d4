// How the members are asked for the segments of a stream. Plain values.
#pragma once

#include <cstdint>

#include "common/ids.hpp"

namespace tutti {

/// Where the samples of a stream are in its segments, for messages.
struct Extent {
  std::uint32_t segment_images = 0;  ///< in a full segment; 0: SupervisorSetting::segment_images
  std::uint64_t samples = 0;         ///< of the call; further ones only fill batches. 0: there are no such
};

/// With a cascade, members are asked in rounds; with a quorum, a segment may be finished before all have answered. What
/// goes wrong with a segment that several calls share is nobody's fault yet: they are computed again one by one, and
/// only then is a segment set aside or an output left out.
struct Terms {
  ByRank<Round> rounds{};  ///< when each member is asked; empty: at once
  bool quorum = false;     ///< SupervisorSetting::quorum holds
  bool shared = false;     ///< by several calls
  Extent extent{};
};

/// A later round of a segment, which asks its members for some of the samples.
struct NextRound {
  Round round;
  std::uint32_t images = 0;  ///< at least one
};

}  // namespace tutti
