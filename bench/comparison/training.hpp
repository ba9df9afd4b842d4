// Rows about training: the members one after another in one process, and in parallel in their workers.
#pragma once

#include <vector>

#include "bench/comparison/contestant.hpp"
#include "bench/rows.hpp"

namespace tutti::bench {

/// Trains on `images`. The weights go into a temporary folder; no file of the description is written.
/// Throws Error(usage) if they have no labels or the members differ in their epochs.
std::vector<Row> training_rows(const Field& field, const ImageSet& images, int repeats);

}  // namespace tutti::bench
