// How much the members of a pool slow each other down: the speed of each alone on the machine, and next to the others.
#pragma once

#include <vector>

#include "bench/comparison/contestant.hpp"
#include "bench/rows.hpp"

namespace tutti::bench {

/// Speed while computing, and the time of a segment at the 50th and 99th percentile, of each member: alone, and next to
/// the others. Only one segment is in flight at a time, so that a segment's time does not include waiting.
std::vector<Row> interference_rows(const Field& field, const ImageSet& images, int repeats);

/// The value that `percent` of `values` do not exceed (nearest rank). `values` must not be empty.
double percentile(std::vector<double> values, double percent);

}  // namespace tutti::bench
