// Reads the labels of an `input:`, and checks that what the members predict can be compared with them.
#pragma once

#include <vector>

#include "config/members.hpp"
#include "config/reader.hpp"
#include "config/spec.hpp"
#include "config/tree.hpp"
#include "config/violations.hpp"

namespace tutti::config {

/// The keys labels and ignore_index, and of a folder also classes.
void read_labels(Fields& fields, InputSpec& input, Violations& violations);

/// Sets what the labels of `input` are, which depends on what the members predict. `tree` is its map, or null. A key
/// that does not fit such labels becomes a violation.
void set_label_form(InputSpec& input, const Tree* tree, const CombineSpec& combine, Violations& violations);

/// The masks of a folder are resized and cropped as its `input` says, so no member may see the pictures differently.
void check_masks(const std::vector<ReadMember>& members, const InputSpec& input, Violations& violations);

}  // namespace tutti::config
