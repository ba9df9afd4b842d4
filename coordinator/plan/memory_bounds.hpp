// The memory that an ensemble needs, as named terms: `tutti plan` prints each, and their sum is checked at the start,
// and that of a member before it is added or replaced. Pure, except that it reads the sizes of the models' files.
#pragma once

#include <vector>

#include "coordinator/plan/plan.hpp"

namespace tutti {

/// What the journal of a run keeps in memory of each segment (results/journal.hpp): a node of a map. Checksums and sums
/// are read when they are needed.
inline constexpr std::uint64_t kJournalSegmentBytes = 64;

/// The terms for a plan whose workers, arena and policy are set. `traced`: a trace is recorded.
std::vector<Bound> memory_bounds(const Plan& plan, bool traced);

/// Throws Error(failed) with every term if the sum of the bounds exceeds the available memory.
void check_memory(const Plan& plan);
/// The same for the terms of `added`, a worker of one member that joins the others of the plan, which are running: the
/// available memory is what they leave.
void check_memory(const Plan& plan, const WorkerPlan& added);
/// The same for what the workers of this member, which has a new version in the plan, load while those with the old one
/// still run.
void check_memory(const Plan& plan, Rank replaced);

}  // namespace tutti
