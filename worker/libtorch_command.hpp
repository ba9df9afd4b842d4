// How a user gets the LibTorch that this build needs, as one line for a shell.
#pragma once

namespace tutti::worker {

/// Installs it into a folder by pip, and names that in TUTTI_LIBTORCH. Empty in a build without LibTorch.
const char* libtorch_command();

}  // namespace tutti::worker
