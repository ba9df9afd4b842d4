// Writes a checked description as YAML again, with every default in it.
#pragma once

#include <string>

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// As in an `assignment`.
Tree device_tree(const Device& device);

/// The keys of to_yaml(). All ranks in `spec` are those of members.
Tree to_tree(const EnsembleSpec& spec);

/// YAML that load_text() reads back as an equal description, in this version and in versions with other defaults.
/// Leaves out `effective_yaml` itself.
std::string to_yaml(const EnsembleSpec& spec);

/// The part of it that is a member's `model`, for people.
std::string to_yaml(const ModelSpec& model);

}  // namespace tutti::config
