// Training as a row of its own: the members one after another in one process, and side by side in their workers.
#pragma once

#include <vector>

#include "bench/comparison/contestant.hpp"
#include "bench/rows.hpp"

namespace tutti::bench {

/// `images` are what is learnt from. The weights go into a folder for a time; no file of the description is written.
/// Throws Error(usage) if they have no labels or the members differ in their epochs.
std::vector<Row> training_rows(const Field& field, const ImageSet& images, int repeats);

}  // namespace tutti::bench
