// Finds the interpreter of Python members: the worker becomes a process of it.
#pragma once

#include <filesystem>

#include "config/spec.hpp"

namespace tutti {

/// The interpreter of a member of kind `python`, absolute, with its links kept: an environment is known by the place of
/// its link. `python` of the member may name a file, the folder of a virtual environment, or a program in PATH; python3
/// without it. Throws Error(usage) that names the member and the place in the description. Empty for other kinds.
std::filesystem::path find_python(const config::MemberSpec& member);

}  // namespace tutti
