// A checked description written down again as YAML, with every default in it.
#pragma once

#include <string>

#include "config/spec.hpp"

namespace tutti::config {

/// YAML that load_text() reads back as an equal description, in this version and in those with other defaults.
/// `effective_yaml` itself is left out.
std::string to_yaml(const EnsembleSpec& spec);

}  // namespace tutti::config
