// Where the running program is.
#pragma once

#include <filesystem>

namespace tutti {

/// The folder of the running program. Throws Error(failed) that names /proc, the only place that tells.
std::filesystem::path program_folder();

}  // namespace tutti
