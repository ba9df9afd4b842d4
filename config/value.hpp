// Checks a description that a program built or changed. Every check is that of the reader of YAML: the value is written
// as YAML's keys, and these are read, each with the name of its field instead of a line and a column.
#pragma once

#include "config/spec.hpp"

namespace tutti::config {

/// The description that `value` stands for, with its `effective_yaml`. Throws Error(usage) that lists every violation,
/// one per line, as "members[2].weight: what is wrong". A field that has another value than its default but no meaning
/// beside the others is one, too.
EnsembleSpec checked_value(const EnsembleSpec& value);

}  // namespace tutti::config
