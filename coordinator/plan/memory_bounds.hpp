// The memory that an ensemble needs, as named terms: `tutti plan` prints each, and their sum is checked at the start.
// Pure, except that it reads the sizes of the models' files.
#pragma once

#include <vector>

#include "coordinator/plan/plan.hpp"

namespace tutti {

/// What the journal of a run keeps in memory of each segment (results/journal.hpp): a node of a map. Checksums and sums
/// are read when they are needed.
inline constexpr std::uint64_t kJournalSegmentBytes = 64;

/// The terms for a plan whose workers, arena and policy are set. `traced`: a trace is recorded.
std::vector<Bound> memory_bounds(const Plan& plan, bool traced);

}  // namespace tutti
