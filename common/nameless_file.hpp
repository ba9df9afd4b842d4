// Files without a name, on disk or in memory: nothing can be left behind, for they are gone with their last descriptor
// and mapping, however the processes end. What is written into them is said elsewhere.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "common/unique_fd.hpp"

namespace tutti {

/// On the file system of `folder`, empty and close-on-exec, opened with `access` (O_RDWR, O_WRONLY). If that file
/// system has no such files, or the folder cannot be written, the descriptor is empty and errno says why.
UniqueFd nameless_file(const std::filesystem::path& folder, int access, mode_t mode = 0600);

/// Whether programs and libraries can be loaded from it.
enum class Executable { no, yes };

/// In memory (a memfd), empty, close-on-exec, and able to be sealed; `tag` is what /proc/<pid>/fd shows:
/// "/memfd:tutti-<tag>". If there is none to be had, the descriptor is empty and errno says why.
UniqueFd memory_file(const std::string& tag, Executable executable = Executable::no);

}  // namespace tutti
