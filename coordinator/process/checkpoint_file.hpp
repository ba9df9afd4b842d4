// A file without a name in which a training worker keeps what it has learnt so far, for its replacement. Coordinator
// and workers share it by its descriptor; it is gone with the last of them, however they end.
#pragma once

#include "common/unique_fd.hpp"

namespace tutti {

/// An empty file, close-on-exec: on disk below $TMPDIR or /tmp where `on_disk`, in memory where that folder takes no
/// files without a name or nothing is going to be written. Throws Error(failed).
UniqueFd make_checkpoint_file(bool on_disk);

}  // namespace tutti
