// Reads `base:` and `merge:`: which members' weights become one, and how. Whether the files fit together is asked when
// they are opened.
#pragma once

#include <filesystem>
#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"

namespace tutti::config {

class Fields;

/// The file, or the folder as Hugging Face writes it, with the weights of a model; empty where the configuration names
/// none, or where they are no safetensors.
std::filesystem::path weights_path(const ModelSpec& model);

/// Reads both keys of the top level into `spec`. What is wrong becomes a violation: keys of other methods, members that
/// are not there, of several kinds or without weights, a method without its base or its
/// held-out images, weights that cannot be normalized.
void read_merging(Fields& top, const std::vector<ReadMember>& members, EnsembleSpec& spec, Violations& violations);

}  // namespace tutti::config
