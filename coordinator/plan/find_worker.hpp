// Finds the program tutti-worker, and others that are installed with it. The interpreters of members: find_python.hpp.
#pragma once

#include <filesystem>
#include <string>

namespace tutti {

/// Whether it is a file that this user may start, links followed.
bool is_program(const std::filesystem::path& file);

/// Looks for `name` next to this program, and in libexec/tutti and bin around the folder of this program or of the
/// library. If it is not there, throws Error(usage) with `hint`; the detail lists the places.
std::filesystem::path find_program(const std::string& name, const std::string& hint);

/// `wanted` if given; else $TUTTI_WORKER; else as find_program() does. Throws Error(usage).
std::filesystem::path find_worker(const std::filesystem::path& wanted);

}  // namespace tutti
