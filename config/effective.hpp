// Writes a checked description as YAML again, with every default in it.
#pragma once

#include <string>

#include "config/spec.hpp"

namespace tutti::config {

/// YAML that load_text() reads back as an equal description, in this version and in versions with other defaults.
/// Leaves out `effective_yaml` itself.
std::string to_yaml(const EnsembleSpec& spec);

/// The part of it that is a member's `model`, for people.
std::string to_yaml(const ModelSpec& model);

}  // namespace tutti::config
