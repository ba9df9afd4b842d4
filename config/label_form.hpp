// What the labels of an input are. It follows from what the members predict, so it is set once both were read.
#pragma once

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Sets what the labels of `input` are, which depends on what the members predict. `tree` is its map, or null. A key
/// that does not fit such labels becomes a violation.
void set_label_form(InputSpec& input, const Tree* tree, const CombineSpec& combine, Violations& violations);

}  // namespace tutti::config
