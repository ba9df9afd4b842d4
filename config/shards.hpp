// Reads `shards:` of a member: its network is cut by layers into a chain of stages (config/stages.hpp), each with a
// part of the layers. Looks into the model's files for how many layers there are, and how large.
#pragma once

#include <string_view>
#include <vector>

#include "config/members.hpp"

namespace tutti::config {

class Fields;

/// `shards: 3`, or a map with `count` or `cut`, and `devices`; into the member, whose model is cut later.
void read_shards(const Tree& tree, Fields& fields, ReadMember& read, Violations& violations);

/// Makes stages of the members that have shards. `input` is where the samples come from.
void cut_into_shards(std::vector<ReadMember>& members, const InputSpec& input, Violations& violations);

/// Where this member or stage is cut, for people: "layers 0 to 3"; empty if it is a whole network.
std::string part_text(const ModelKind& kind);

/// What describes the chain of models that this member is, for messages: "shards", or else "stages".
std::string_view chain_key(const MemberSpec& member);

}  // namespace tutti::config
