// What an ensemble gives back, as Python sees it: predictions, whose arrays are views of the library's own memory, and
// the status; and what other places need.
#pragma once

#include <nanobind/nanobind.h>

namespace tutti::python {

/// Adds the classes Predictions and IncompleteSegment to the module.
void bind_predictions(nanobind::module_& module);

/// Adds what one ensemble in several places needs: tutti/parts.hpp.
void bind_parts(nanobind::module_& module);

/// Adds the classes Status, MemberStatus, FaultCounts and Health to the module.
void bind_status(nanobind::module_& module);

}  // namespace tutti::python
