// Which members share a worker, from the description.
#pragma once

#include <vector>

#include "config/spec.hpp"

namespace tutti {

/// The units that the description names, and one for each other member, in the order of their first members. A member
/// that learns has a worker of its own.
std::vector<config::UnitSpec> units_of(const config::EnsembleSpec& spec, bool training);

}  // namespace tutti
