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

/// What the labels of `spec.input` and `spec.train_input` are depends on what the members predict. `inputs` are their
/// maps, or null. Adds violations for keys that make no sense then.
void choose_label_form(const std::vector<const Tree*>& inputs, EnsembleSpec& spec, Violations& violations);

/// The masks of a folder are resized and cropped as its `input` says, so no member may see the pictures differently.
void check_masks(const std::vector<ReadMember>& members, const InputSpec& input, Violations& violations);

}  // namespace tutti::config
