// Reads `assignment:` and --assign: which member gets which device. Whether a device exists is asked by others.
#pragma once

#include <string>
#include <vector>

#include "config/members.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Gives every member its device: first the configuration's (`assignment` may be null: each chooses by itself), then
/// those of the command line, each "name=device[,name=device ...]". A member that remains without one is a violation.
void read_assignment(const Tree* assignment, const std::vector<std::string>& command_line,
                     std::vector<ReadMember>& members, Violations& violations);

}  // namespace tutti::config
