// The first steps of a worker process, before it loads anything large: it ties itself to its coordinator, takes its
// cores and limits, and closes every descriptor that does not belong to it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/wire/spawn_contract.hpp"

namespace tutti::worker {

/// What becomes of the descriptors that do not belong to a worker.
enum class ForeignFds : bool {
  close,
  keep,  ///< they were closed before, and those that are open now are an interpreter's
};

/// Carries `options` out. Ends the process with status kOrphaned if the parent is already gone; throws Error(failed)
/// if a necessary step fails (taking its cores).
void take_place(const LaunchOptions& options, ForeignFds foreign = ForeignFds::close);

/// Becomes the interpreter that `options.python` names, which runs kPythonScript with the same arguments otherwise, and
/// keeps everything that take_place() and the coordinator gave to this process. Throws Error if it cannot be started.
[[noreturn]] void become_python(const LaunchOptions& options);

/// Waits until a debugger is attached, without a deadline; prints on stderr how to attach.
void wait_for_debugger(const std::string& member);

}  // namespace tutti::worker
