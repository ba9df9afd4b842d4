// How a user continues a run.
#pragma once

#include <filesystem>
#include <string>

#include "program/commands.hpp"

namespace tutti::program {

/// The command line that continues the run in `folder`, as the user types it into a shell: "tutti run e.yaml --resume".
/// `named`: the description itself names the folder.
std::string resume_command(const CommandLine& line, const std::filesystem::path& folder, bool named);

}  // namespace tutti::program
