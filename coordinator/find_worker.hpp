// Finds the program tutti-worker.
#pragma once

#include <filesystem>

namespace tutti {

/// `wanted` if given; else $TUTTI_WORKER; else tutti-worker beside this program, or in ../libexec/tutti or ../bin of
/// the folder of this program or of the library. Throws Error(usage) that lists where it was looked for.
std::filesystem::path find_worker(const std::filesystem::path& wanted);

}  // namespace tutti
