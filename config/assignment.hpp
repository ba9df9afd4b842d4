// Reads `assignment:`, which may also be called `device_map:`, and --assign: which member gets which device. It does
// not check whether a device exists.
#pragma once

#include <optional>
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

/// A device in any of its forms; nothing if it is none, which is a violation.
std::optional<Device> read_device(const Tree& tree, Violations& violations);

/// Gives every member its device: first from the configuration, then from the command line, each
/// "name=device[,name=device ...]". `of_workers`, by rank, are those of workers (config/workers.hpp); it is a violation
/// if a member is assigned another by its name. So is a member that is left without a device.
void read_assignment(const Assignment& assignment, const std::vector<std::string>& command_line,
                     const std::vector<std::optional<Device>>& of_workers, std::vector<ReadMember>& members,
                     Violations& violations);

}  // namespace tutti::config
