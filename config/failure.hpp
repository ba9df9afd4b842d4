// Reads what is done when workers die, hang or answer nonsense: the keys of FailureSpec.
#pragma once

#include "config/reader.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// These keys stand at the top level.
void read_failure(Fields& top, FailureSpec& failure, Violations& violations);

/// The most training segments between two checkpoints. A replacement is given every segment since the last checkpoint
/// again, so their images stay in their slots; one more slot is needed to go on. With a single slot each is written.
constexpr std::uint32_t most_checkpoint_segments(std::uint32_t slots) { return slots > 1 ? slots - 1 : 1; }

/// `checkpoint_segments` of `train:`, over the default that fits into spec.slots. `train` may be null: no such map.
void read_checkpoint_segments(Fields* train, EnsembleSpec& spec, Violations& violations);

}  // namespace tutti::config
