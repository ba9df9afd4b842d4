// Where a training saves the members' weights.
#pragma once

#include <filesystem>
#include <vector>

#include "coordinator/plan/plan.hpp"

namespace tutti {

/// By rank: each member's `weights`, or a file in `folder`. Absolute, because the workers keep the working directory
/// that they started in; their folders are created. Throws Error(usage) if two members would save to the same file, and
/// Error if a folder cannot be created.
std::vector<std::filesystem::path> weight_files(const Plan& plan, const std::filesystem::path& folder);

}  // namespace tutti
