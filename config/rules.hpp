// Reads `--rules mean,weighted,vote`: the rules that one pass evaluates beside each other, and `--weights`. Whether the
// members' widths are the same is known later, and asked by those who combine.
#pragma once

#include <string_view>
#include <vector>

#include "config/spec.hpp"

namespace tutti::config {

/// Whether a rule compares classes, so that it cannot combine features: vote, most_confident, geometric_mean.
bool needs_classes(CombineRule rule);

/// One CombineSpec per rule, in the order of the list, otherwise as `spec.combine` is. Where tasks have heads, rules
/// that need classes are applied behind the heads: over the probabilities of each member's own answer. Throws
/// Error(usage) with all that is wrong: an unknown rule, one named twice, `none`, one that does not fit what the
/// members answer or their weights.
std::vector<CombineSpec> read_rules(std::string_view list, const EnsembleSpec& spec);

/// `spec.combine`, with the weights that `spec` has now. Throws Error(usage) if the rule cannot combine with them.
CombineSpec checked_rule(const EnsembleSpec& spec);

/// Sets the members' weights: one number per member, in rank order: "1,0.5,2". Throws Error(usage).
void set_weights(std::string_view list, EnsembleSpec& spec);

}  // namespace tutti::config
