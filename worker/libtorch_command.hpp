// Which LibTorch this build needs, and how a user gets it.
#pragma once

namespace tutti::worker {

/// One line for a shell, which installs it into a folder by pip and names that in TUTTI_LIBTORCH. Empty in a build
/// without LibTorch.
const char* libtorch_command();

/// "2.11.0". Empty in a build without LibTorch.
const char* libtorch_version();

}  // namespace tutti::worker
