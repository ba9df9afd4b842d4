// Applies `key=value` arguments to a tree. It knows no key except `include`, which it rejects.
#pragma once

#include <string>
#include <vector>

#include "config/tree.hpp"

namespace tutti::config {

/// Applies each "dotted.path=value" in order. List items are given by their index, missing maps are created, and the
/// value is YAML and replaces what was there. Positions in what was set are "command line: '<argument>'". `root` is a
/// map.
void apply_overrides(Tree& root, const std::vector<std::string>& arguments, Violations& violations);

}  // namespace tutti::config
