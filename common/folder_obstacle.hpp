// What keeps a folder from being there: something that the user can correct, found without creating anything.
#pragma once

#include <filesystem>
#include <string>

namespace tutti {

/// "runs is a link to /mnt/runs, which does not exist", "it is not a folder" or "notes.txt is not a folder" (a part of
/// the path is a file); empty if the folder is there, or if nothing of that kind is in its way.
std::string folder_obstacle(const std::filesystem::path& folder);

/// The errno with which this user would be kept from creating the folder, or a file in it if it is there; 0 if nothing
/// is known to.
int folder_denial(const std::filesystem::path& folder);

}  // namespace tutti
