// The `arguments` of a Python member's factory: any YAML below that key, as JSON, and back. It knows no other key.
#pragma once

#include <tutti/models.hpp>

#include "config/tree.hpp"
#include "config/violations.hpp"

namespace tutti::config {

/// Numbers, true, false and null become values of their type, unless they are in quotes; everything else is text. A
/// value that is not a map, or that JSON cannot say (infinity, NaN), is a violation, and the arguments are then empty.
Arguments read_arguments(const Tree& tree, Violations& violations);

/// A tree that read_arguments() reads as the same arguments, whose text need not be written as that function writes it.
/// Throws Error(failed) if they are not JSON, or have a name twice.
Tree arguments_tree(const Arguments& arguments);

}  // namespace tutti::config
