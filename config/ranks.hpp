// Reads lists of members, as 'over' and 'workers' hold them.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "config/members.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// The ranks of members that a list names or numbers, in its order. Empty if something is wrong, which is a violation:
/// `key` is what the list is called.
std::vector<std::size_t> read_ranks(const Tree& list, std::string_view key, const std::vector<ReadMember>& members,
                                    Violations& violations);

}  // namespace tutti::config
