// Reads the steps among `stages:`: what is made of the outputs of a stage without a model (common/wire/steps.hpp).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/wire/steps.hpp"
#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Whether an entry of `stages` is a step: `softmax`, or a map such as {step: top_k, k: 5}.
bool is_step(const Tree& entry);

/// Reads such an entry. Mistakes become violations, and then there is no step.
std::optional<StepSpec> read_step(const Tree& entry, Violations& violations);

/// Whether some of the steps fit a stage whose predictions are `dims`, as far as that is known: nothing, if it is not.
/// `positions` are those of the steps, `stage` the name of the stage. Returns the sizes behind the steps.
std::optional<Dims> check_steps(const std::vector<StepSpec>& steps, std::span<const SourcePosition> positions,
                                std::optional<Dims> dims, const std::string& stage, Violations& violations);

/// The steps without their places.
std::vector<Step> plain_steps(const std::vector<StepSpec>& steps);

/// What the member's predictions mean if the steps behind its last model decide that; nothing: `output` says it.
std::optional<OutputKind> output_of_steps(const MemberSpec& member);

/// The sizes of the member's predictions, as far as the description tells.
std::optional<Dims> known_prediction(const MemberSpec& member);

}  // namespace tutti::config
