// Writes the inputs of a checked description as YAML again; see effective.hpp.
#pragma once

#include <string>
#include <vector>

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// The keys that read_resize() reads (config/input_pictures.hpp).
void set_resize(Tree& map, const Resize& resize);

/// The `input` of a member, with every default. `prepares`: the tensors that it is about, if it names any.
Tree input_tree(const MemberInput& input, const std::vector<std::string>& prepares = {});

/// The `input` of a description.
Tree input_tree(const InputSpec& input);

}  // namespace tutti::config
