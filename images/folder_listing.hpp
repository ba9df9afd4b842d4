// Which files of a folder are its images, and of which classes. It reads names only, no file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tutti::images {

/// What to do about a folder that holds no images.
constexpr const char* kFolderHint =
    "name a folder with images, or with one folder of images for each class, with --images or as 'path' of 'input'";

struct ListedFile {
  std::string name;  ///< path below the folder
  std::uint32_t label = 0;
};

struct Listing {
  std::vector<ListedFile> files;     ///< by label, then by name
  std::vector<std::string> classes;  ///< in order; empty: the images have no labels
  std::vector<std::string> remarks;  ///< sentences about what is not part of it
};

enum class Subfolders { are_classes, are_parts };

/// Throws Error(usage) if there are no images, if their classes are not clear, or if a folder cannot be read.
Listing list_images(const std::filesystem::path& folder, Subfolders subfolders = Subfolders::are_classes);

}  // namespace tutti::images
