// Reads `--rules mean,weighted,vote`, the rules that one pass evaluates side by side, and `--weights`. The code that
// combines checks later whether the members have the same width.
#pragma once

#include <string_view>
#include <vector>

#include "config/spec.hpp"

namespace tutti::config {

/// Whether a rule compares classes and so cannot combine features: vote, most_confident, geometric_mean.
bool needs_classes(CombineRule rule);

/// One CombineSpec per rule, in the order of the list, otherwise equal to `spec.combine`. If tasks have heads, rules
/// that need classes are applied after the heads, over the probabilities of each member. Throws Error(usage) with
/// everything that is wrong: an unknown rule, a rule named twice, `none`, a rule that does not fit the outputs of the
/// members or their weights.
std::vector<CombineSpec> read_rules(std::string_view list, const EnsembleSpec& spec);

/// `spec.combine`, with the weights that `spec` has now. Throws Error(usage) if the rule cannot combine with them.
CombineSpec checked_rule(const EnsembleSpec& spec);

/// Sets the members' weights: one number per member, in rank order, such as "1,0.5,2". Throws Error(usage).
void set_weights(std::string_view list, EnsembleSpec& spec);

}  // namespace tutti::config
