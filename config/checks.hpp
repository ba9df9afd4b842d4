// What only the whole configuration can tell: whether members, combine rule and input fit together. Pure; no machine.
#pragma once

#include <string>
#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// Adds a violation for each rule that does not fit what it combines. Members that are not sound are left out.
/// - vote, most_confident and geometric_mean need classes; geometric_mean needs probabilities.
/// - what a member answers can become what is combined: the same, or logits -> probabilities; features stay alone.
/// - members whose width the configuration tells have the same one, unless the rule is none.
/// - weights: negative ones only with rule weighted (a linear combination is well-defined with them; a negative share
///   of a vote is not); what rule weighted divides by, and the votes together, must not be 0.
void check_combination(const std::vector<ReadMember>& members, const CombineSpec& combine, const Place& place,
                       Violations& violations);

/// Of these the first and the last: what holds for a rule whatever the members answer.
void check_rule(const std::vector<ReadMember>& members, const CombineSpec& combine, const Place& place,
                Violations& violations);

/// The members take images of this shape, and know its classes.
void check_input(const std::vector<ReadMember>& members, const InputSpec& input, const Place& place,
                 Violations& violations);

/// Why `input` cannot be made of images of `shape`, and what to do; `what` is empty where it can.
struct Misfit {
  std::string what;
  std::string hint;
};
Misfit misfit(const MemberInput& input, const ImageShape& shape);

/// `init` holds weights as safetensors, which a torchscript member cannot start from.
void check_training(const std::vector<ReadMember>& members, Violations& violations);

}  // namespace tutti::config
