// Finds the program tutti-worker, and others that are installed with it.
#pragma once

#include <filesystem>
#include <string>

namespace tutti {

/// `name` beside this program, or in ../libexec/tutti or ../bin of the folder of this program or of the library. Throws
/// Error(usage) with `hint` that lists where it was looked for.
std::filesystem::path find_program(const std::string& name, const std::string& hint);

/// `wanted` if given; else $TUTTI_WORKER; else as find_program() does. Throws Error(usage).
std::filesystem::path find_worker(const std::filesystem::path& wanted);

}  // namespace tutti
