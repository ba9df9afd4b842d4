// The first steps of a worker process, before anything heavy is loaded: it ties itself to its coordinator, takes
// its cores and limits, and drops every descriptor that is not its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/wire/spawn_contract.hpp"

namespace tutti::worker {

/// Carries `options` out. Ends the process with status kOrphaned if the parent is already gone; throws Error(failed)
/// if a step fails that the worker cannot do without (its cores).
void take_place(const LaunchOptions& options);

/// Waits until a debugger is attached, or for ever; says on stderr how to attach.
void wait_for_debugger(const std::string& member);

}  // namespace tutti::worker
