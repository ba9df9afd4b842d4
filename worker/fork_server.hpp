// The fork server: a worker process that opens LibTorch once, runs no operation and no second thread, and forks a
// worker whenever the coordinator asks for one. A forked worker shares LibTorch's memory with its siblings (what its
// loading wrote: about 60 MB each otherwise) and need not load it again. It is the coordinator's child, like one that
// was spawned.
#pragma once

#include <optional>

#include "common/wire/spawn_contract.hpp"
#include "worker/control_client.hpp"

namespace tutti::worker {

/// Opens the backend, greets the coordinator, and forks until the coordinator hangs up; then it returns nothing. In
/// each forked worker it returns that worker's options; descriptors, process group and name are then the worker's.
/// `argv` is main's, whose memory holds the name in process listings. Throws Error(failed) if the backend cannot be
/// opened, or if forking is not safe here.
std::optional<LaunchOptions> serve_forks(ControlClient& control, int argc, char** argv);

}  // namespace tutti::worker
