// Which members share a worker, which have several, and where these run, from the description.
#pragma once

#include <string>
#include <vector>

#include "config/spec.hpp"
#include "coordinator/plan/placement.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// The units that the description names, and one for each other member, in the order of their first members. A member
/// that learns has a worker of its own.
std::vector<config::UnitSpec> units_of(const config::EnsembleSpec& spec, bool training);

/// Adds the workers of a unit whose first member is `first`; its members were placed so, as far as the unit itself
/// names no devices. Adds to `problems` what cannot be placed.
void place_unit(Plan& plan, const config::UnitSpec& unit, const config::MemberSpec& first, const Placement& placed,
                const Machine& machine, std::vector<std::string>& problems);

}  // namespace tutti
