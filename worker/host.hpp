// The whole life of a worker process, from its arguments to its exit code. The program `tutti-worker` consists of it,
// and so does a Python interpreter that became a worker.
#pragma once

#include "worker/launch.hpp"

namespace tutti::worker {

/// Hosts a unit, which is one member or several; or serves forks. Returns the exit code (WorkerExit) once told to stop,
/// when the coordinator is gone, or after a failure, which the coordinator then knows. If the arguments name a Python
/// interpreter, the process becomes that one, and this does not return. The caller ends the process at once, without
/// destructors: libraries with threads (LibTorch, CUDA) cannot be shut down. `foreign`: descriptors that
/// are open at its start.
int host(int argc, char** argv, ForeignFds foreign = ForeignFds::close);

}  // namespace tutti::worker
