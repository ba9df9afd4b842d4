// Turns a model's write to its input into a message. The input is mapped read-only, so such a model raises SIGSEGV; a
// bare "killed by SIGSEGV" would not tell the user that the option `copy_input` fixes it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tutti::worker {

/// Watches `memory` instead of what was watched before: a write to it sends a control::Failure on `control_fd` and ends
/// the process with kFailed. Any other fault, and a SIGSEGV that was sent, has its usual effect. Call it from one
/// thread, before a model gets the memory: first for the warm-up's images, then for the arena.
void guard_against_writes(std::span<const std::byte> memory, const std::string& member, int control_fd);

}  // namespace tutti::worker
