// The fork server: a worker process that opens LibTorch once, runs no operation and no second thread, and forks a
// worker whenever the coordinator asks for one. A forked worker shares LibTorch's memory with its siblings (what its
// loading wrote: some 60 MB each otherwise) and need not load it again. It is the coordinator's own child, as one that
// was spawned; only how it came to be differs.
#pragma once

#include <optional>

#include "common/wire/spawn_contract.hpp"
#include "worker/control_client.hpp"

namespace tutti::worker {

/// Opens the backend, greets the coordinator, and forks until it hangs up: then nothing is returned. In each forked
/// worker it returns the options of that worker; descriptors, process group and name are the worker's own then. `argv`
/// is main's, whose memory holds the name in process listings. Throws Error(failed) if the backend cannot be opened,
/// or if forking is not safe here.
std::optional<LaunchOptions> serve_forks(ControlClient& control, int argc, char** argv);

}  // namespace tutti::worker
