// Reads `assignment:`, which may also be called `device_map:`, and --assign: which member gets which device. It does
// not check whether a device exists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/members.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Where the configuration assigns devices: the key and its value. Null: each member chooses a device.
struct Assignment {
  std::string_view key;
  const Tree* tree = nullptr;
};

/// Gives every member its device: first from the configuration, then from the command line, each
/// "name=device[,name=device ...]". A member that is left without a device is a violation.
void read_assignment(const Assignment& assignment, const std::vector<std::string>& command_line,
                     std::vector<ReadMember>& members, Violations& violations);

}  // namespace tutti::config
