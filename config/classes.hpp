// The names of classes: a list, or a file.
#pragma once

#include <string>
#include <vector>

#include "config/tree.hpp"

namespace tutti::config {

/// The value of a key `classes`: a list of names; a text file with one name per line; or a JSON file, a list of names
/// or a Hugging Face `config.json` with `id2label`. Names must differ. Empty, with the reasons in `violations`, if
/// something is wrong.
std::vector<std::string> read_class_names(const Tree& tree, Violations& violations);

}  // namespace tutti::config
