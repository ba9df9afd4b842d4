// A file without a name in which a training worker saves its state for its replacement. Coordinator and workers share
// it by its descriptor; it disappears with the last of them, however they end.
#pragma once

#include "common/unique_fd.hpp"

namespace tutti {

/// An empty file, close-on-exec: on disk below $TMPDIR or /tmp if `on_disk`; in memory if not, or if that folder does
/// not support files without a name. Throws Error(failed).
UniqueFd make_checkpoint_file(bool on_disk);

}  // namespace tutti
