// YAML text to a Tree and back. The only files that know yaml-cpp (0.7 and 0.8).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/tree.hpp"
#include "config/violations.hpp"

namespace tutti::config {

/// Bounds of one text: the number of nodes (an alias counts each time it is followed) and their nesting.
constexpr int kMaxYamlNodes = 100'000;
constexpr int kMaxYamlDepth = 64;

/// The text as a tree; empty text is null. Returns nothing if the text is not YAML at all or exceeds the bounds above:
/// `violations` then holds the reason. Duplicate keys, keys that are not scalars, and tags are violations too, but the
/// rest is returned.
std::optional<Tree> parse_yaml(std::string_view text, const std::string& file, Violations& violations);

/// YAML that parse_yaml() reads back as the same tree, with a final newline.
std::string emit_yaml(const Tree& tree);

}  // namespace tutti::config
