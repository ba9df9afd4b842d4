// Reads `members:` and `train:`, each member by itself. checks.hpp checks whether they fit together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.hpp"
#include "config/tree.hpp"
#include "config/views.hpp"

namespace tutti::config {

/// A layer that a shard begins with, and where it is written.
struct ReadCut {
  std::uint32_t layer = 0;
  SourcePosition position;
};

/// `shards` of a member as read (config/shards.hpp).
struct ReadShards {
  SourcePosition position{};
  std::uint32_t count = 0;                       ///< of shards
  std::vector<ReadCut> cut{};                    ///< empty: by their bytes
  std::vector<std::optional<Device>> devices{};  ///< of each shard; empty: that of the member
};

/// A member as read, with what later messages need.
struct ReadMember {
  MemberSpec spec;                      ///< its device is not set yet
  SourcePosition position;              ///< of the member's map
  std::vector<SourcePosition> views{};  ///< where each of its views is written
  bool sound = false;                   ///< nothing is wrong with it so far, so further checks make sense
  std::vector<SourcePosition> takes{};  ///< of each name in its `takes`
  SourcePosition entries{};             ///< of the `output` in its `model`, the last one, if it has one
  /// By stage, what it says itself; none without stages.
  std::vector<std::optional<Device>> stage_devices{};
  std::optional<ReadShards> shards{};  ///< into which its model is still to be cut, or was
};

/// The longest name of a member: names become file names.
constexpr std::size_t kMaxNameLength = 64;
constexpr std::size_t kMaxMembers = 1024;

class Fields;

/// A letter, a digit, '_', '.' or '-'.
bool fits_in_name(char c);

/// Names become files, folders and keys. Returns what is wrong with this one, or an empty text. The name must not be
/// empty. `whose` follows the name in the text, such as " of a task".
std::string name_problem(const std::string& name, std::string_view whose = "");

/// Reads the keys epochs, batch_images, learning_rate, init and bootstrap; absent keys leave the values in `train`.
void read_train(Fields& fields, TrainSpec& train, Violations& violations);

/// What is the same for all members that do not say otherwise.
struct MemberDefaults {
  TrainSpec train;
  std::uint64_t seed = 0;  ///< that of a member is this + its rank
  ReadViews views;
};

std::vector<ReadMember> read_members(const Tree& list, const MemberDefaults& defaults, Violations& violations);

/// A member whose model is a folder with an image processor (config/processor.hpp), and which has no `input`, takes
/// that of the folder. What the processor does besides is a violation.
void take_inputs_of_folders(std::vector<ReadMember>& members, Violations& violations);

}  // namespace tutti::config
