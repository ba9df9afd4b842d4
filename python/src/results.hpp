// What an ensemble gives back, as Python sees it: predictions, whose arrays are views of the library's own memory, and
// the status.
#pragma once

#include <nanobind/nanobind.h>

namespace tutti::python {

/// Adds the classes Predictions and IncompleteSegment to the module.
void bind_predictions(nanobind::module_& module);

/// Adds the classes Status, MemberStatus, FaultCounts and Health to the module.
void bind_status(nanobind::module_& module);

}  // namespace tutti::python
