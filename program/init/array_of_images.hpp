// Images, or other samples, in an .npy file that `tutti init` found: the order of their axes, and which file next to it
// holds their labels. It reads headers only.
#pragma once

#include <filesystem>

#include "program/init/found.hpp"

namespace tutti::program {

/// Throws Error(usage) if the file is not an array.
FoundImages array_of_images(const std::filesystem::path& file);

/// Whether a file is called as labels are: labels.npy, test-labels.npy.
bool is_array_of_labels(const std::filesystem::path& file);

}  // namespace tutti::program
