// Reads what to do when workers die, hang or send invalid outputs: the keys of FailureSpec; and whom a segment waits
// for.
#pragma once

#include <vector>

#include "config/reader.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// These keys are at the top level.
void read_failure(Fields& top, FailureSpec& failure, Violations& violations);

/// `quorum`: at least one of `members` and `deadline_s`. A violation: more members than there are, or a cascade.
std::optional<QuorumSpec> read_quorum(const Tree& tree, const EnsembleSpec& spec, std::size_t members,
                                      Violations& violations);

/// How many slots keep the members busy that a segment does not wait for: each worker of up to eight of them may have
/// two segments that the others have left behind.
std::uint32_t slots_for_quorum(const QuorumSpec& quorum, const std::vector<MemberSpec>& members);

/// `coalesce`, which needs `max_delay_us`. A violation: a cascade, or batches that are measured.
std::optional<CoalesceSpec> read_coalesce(const Tree& tree, const EnsembleSpec& spec, Violations& violations);

/// The most training segments between two checkpoints. A replacement gets every segment since the last checkpoint
/// again, so their images stay in their slots, and training needs one more slot to continue. With a single slot, every
/// segment is followed by a checkpoint.
constexpr std::uint32_t most_checkpoint_segments(std::uint32_t slots) { return slots > 1 ? slots - 1 : 1; }

/// `checkpoint_segments` of `train:`; its default depends on spec.slots. `train` may be null: there is no such map.
void read_checkpoint_segments(Fields* train, EnsembleSpec& spec, Violations& violations);

}  // namespace tutti::config
