// Applies `key=value` arguments to a tree. It knows no key, except that `include` comes too late.
#pragma once

#include <string>
#include <vector>

#include "config/tree.hpp"

namespace tutti::config {

/// Each "dotted.path=value" in turn: list items by their index, missing maps are made, the value is YAML and replaces
/// what was there. Places in what was set are "command line: '<argument>'". `root` is a map.
void apply_overrides(Tree& root, const std::vector<std::string>& arguments, Violations& violations);

}  // namespace tutti::config
