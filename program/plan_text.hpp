// What `tutti plan` prints. Pure.
#pragma once

#include <string>

#include "config/spec.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti::program {

/// What would run where, and what it needs. `source`: the samples, for people.
std::string plan_text(const Plan& plan, const Machine& machine, const std::string& source);

/// Between which forms of a member a choice is left; empty if there is none.
std::string choices_text(const config::EnsembleSpec& spec);
/// What was chosen, by which figures, and how a file says so; empty if nothing was.
std::string chosen_text(const config::EnsembleSpec& spec);

/// Who computes what, and in which order, as a drawing of a few lines; empty if each member has a worker of its own and
/// is asked for everything.
std::string graph_text(const Plan& plan);
/// The same for Graphviz: workers are boxes with their members, a step of the cascade is a diamond.
std::string graph_dot(const Plan& plan, const std::string& source);

}  // namespace tutti::program
