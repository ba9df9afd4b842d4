// Reads a member's `model:`.
#pragma once

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Mistakes become violations; the result then holds what could be read.
ModelSpec read_model(const Tree& tree, Violations& violations);

/// Where the `output` in the `model` of this member or stage is written; empty if there is none.
SourcePosition position_of_output(const Tree& tree);

}  // namespace tutti::config
