// Reads `assignment:`, which may be called `device_map:`, and --assign: which member gets which device. Whether a
// device exists is asked by others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/members.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Where the configuration says it: the key, and its value; null: each member chooses by itself.
struct Assignment {
  std::string_view key;
  const Tree* tree = nullptr;
};

/// Gives every member its device: first the configuration's, then
/// those of the command line, each "name=device[,name=device ...]". A member that remains without one is a violation.
void read_assignment(const Assignment& assignment, const std::vector<std::string>& command_line,
                     std::vector<ReadMember>& members, Violations& violations);

}  // namespace tutti::config
