// Reads `members:` and `train:`: each member by itself. Whether they fit together is asked in checks.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// A member as read, with what later messages need.
struct ReadMember {
  MemberSpec spec;     ///< its device is still open
  Place place;         ///< of the member's map
  bool sound = false;  ///< nothing was wrong with it so far: further checks of it make sense
};

/// Longest name of a member: names become names of files.
constexpr std::size_t kMaxNameLength = 64;
constexpr std::size_t kMaxMembers = 1024;

class Fields;

/// Names become files, folders and keys: what is wrong with this one, or nothing. Not empty. `whose` stands behind it
/// in the text, such as " of a task".
std::string name_problem(const std::string& name, std::string_view whose = "");

/// Reads the keys epochs, batch_images, learning_rate, init and bootstrap over the values that `train` has.
void read_train(Fields& fields, TrainSpec& train, Violations& violations);

/// `train` and `seed` are the ensemble's; the seed of a member is by default `seed` + its rank.
std::vector<ReadMember> read_members(const Tree& list, const TrainSpec& train, std::uint64_t seed,
                                     Violations& violations);

}  // namespace tutti::config
