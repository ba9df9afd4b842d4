// The report of a command before anything ran.
#pragma once

#include <string>

#include "config/spec.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/plan.hpp"
#include "results/report.hpp"

namespace tutti {

/// Version, machine, configuration, memory bounds. `completed` is false.
images::Report begin_report(const std::string& command, const config::EnsembleSpec& spec, const Plan& plan,
                            const Machine& machine);

}  // namespace tutti
