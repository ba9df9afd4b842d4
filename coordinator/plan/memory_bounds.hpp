// What an ensemble's memory is the sum of: named terms, of which `tutti plan` prints each and the start checks the sum.
// Pure but for the sizes of the models' files.
#pragma once

#include <vector>

#include "coordinator/plan/plan.hpp"

namespace tutti {

/// The terms for a plan whose workers, arena and policy stand. `traced`: a trace is kept.
std::vector<Bound> memory_bounds(const Plan& plan, bool traced);

}  // namespace tutti
