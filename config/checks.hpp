// Checks that need the whole configuration: whether members, combine rule and input fit together. Pure; no machine.
#pragma once

#include <string>
#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"
#include "config/takes.hpp"

namespace tutti::config {

/// Adds a violation for each rule that does not fit what it combines. Members that are not sound are left out.
/// - vote, most_confident and geometric_mean need classes; geometric_mean needs probabilities.
/// - What a member outputs must be convertible to what is combined: the same kind, or logits to probabilities. Features
///   can only be combined with features.
/// - Members whose width the configuration tells must have the same one, unless the rule is none.
/// - Only rule weighted takes negative weights: a linear combination is well-defined with them, a negative share of a
///   vote is not. The sum that rule weighted divides by, and the sum of the votes, must not be 0.
void check_combination(const std::vector<ReadMember>& members, const CombineSpec& combine,
                       const SourcePosition& position, Violations& violations);

/// The first and the last of these checks: those that hold for a rule whatever the members output.
void check_rule(const std::vector<ReadMember>& members, const CombineSpec& combine, const SourcePosition& position,
                Violations& violations);

/// Checks that `spec.classes` names what is combined: as many classes as each member outputs, as far as that is known,
/// and at least as many as the images have. Features have no classes.
void check_classes(const std::vector<ReadMember>& members, const EnsembleSpec& spec, const SourcePosition& position,
                   Violations& violations);

/// Checks that the members take what the samples have, or can make their views of it, and know their classes.
void check_input(const std::vector<ReadMember>& members, const InputSpec& input, const SourcePosition& position,
                 Violations& violations);
/// The same of the images of a training, which has no views.
void check_train_input(const std::vector<ReadMember>& members, const InputSpec& input, const SourcePosition& position,
                       Violations& violations);

/// Why a member's images cannot be made of images of `shape`.
Misfit misfit(const MemberInput& input, const ImageShape& shape);
/// The same of the pictures of a folder.
Misfit misfit_of_picture(const MemberInput& own, const InputSpec& folder);

/// `init` holds weights as safetensors, and a torchscript member cannot start from those.
void check_training(const std::vector<ReadMember>& members, Violations& violations);

}  // namespace tutti::config
