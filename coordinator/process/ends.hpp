// The two ends of the connections between a worker process and the coordinator: ours never blocks, the worker's does.
#pragma once

#include "common/unique_fd.hpp"

namespace tutti {

struct Ends {
  UniqueFd ours;
  UniqueFd theirs;
};

/// SEQPACKET: whole messages. Throws Error(failed) with the limit to raise.
Ends make_control_sockets();
/// A worker's stdout or stderr. Throws Error(failed) with the limit to raise.
Ends make_output_pipe();

}  // namespace tutti
