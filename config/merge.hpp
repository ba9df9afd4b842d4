// Reads `base:` and `merge:`: which members' weights become one, and how. Whether the files fit together is checked
// when they are opened.
#pragma once

#include <filesystem>
#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"

namespace tutti::config {

class Fields;

/// The file, or the Hugging Face folder, with the weights of a model; empty if the configuration names none or they are
/// not safetensors.
std::filesystem::path weights_path(const ModelSpec& model);

/// Reads both top-level keys into `spec`. Mistakes become violations: keys of other methods; members that do not exist,
/// are of different kinds or have no weights; a method without its base or its held-out images; weights that cannot be
/// normalized.
void read_merging(Fields& top, const std::vector<ReadMember>& members, EnsembleSpec& spec, Violations& violations);

}  // namespace tutti::config
