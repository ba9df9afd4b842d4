// Reads `cascade:`: which members are asked only for the samples that are doubtful after others have predicted them.
#pragma once

#include <string_view>
#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// The most steps of a cascade.
constexpr std::size_t kMaxCascade = 16;

/// A map, or a list of them. A violation: members that are not asked before the step, that are asked later twice, or
/// that are all asked later.
std::vector<CascadeStep> read_cascade(const Tree& tree, const std::vector<ReadMember>& members, Violations& violations);

/// Checks that the combination says how sure it is of a sample, and that members that are computed together are asked
/// together. `spec` has its combination, workers and input.
void check_cascade(const EnsembleSpec& spec, const std::vector<ReadMember>& members, const SourcePosition& position,
                   Violations& violations);

/// Members of which the cascade asks some later have no `mode: auto` that computes them together.
void leave_out_fused(EnsembleSpec& spec, std::size_t members);

/// Why the values that a rule gives do not say how sure it is of a sample; empty if they do.
std::string_view why_not_sure(const CombineSpec& combine);

}  // namespace tutti::config
