// Members whose predictions were computed elsewhere (`kind: saved`): what they can be combined with. Whether their
// files fit is for coordinator/plan/saved.hpp to say. Pure.
#pragma once

#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// Saved predictions without `output` are what the members are combined over.
void take_as_combined(std::vector<ReadMember>& members, const CombineSpec& combine);

/// Adds a violation for each key of such a member that is about images or computing: it does neither.
void check_saved(const std::vector<ReadMember>& members, Violations& violations);

/// Such members need the samples of a data set, which have numbers, and predictions of whole samples, not of tiles.
void check_saved_input(const std::vector<ReadMember>& members, const InputSpec& input, Violations& violations);

}  // namespace tutti::config
