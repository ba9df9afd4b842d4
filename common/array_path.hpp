// Where an array is: a file, or an entry of one. "samples.npz:image" is an array of an archive, "t.csv:species" a
// column of a table. It knows the notation, not the formats.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace tutti {

struct ArrayPath {
  std::filesystem::path file;
  std::string entry;  ///< empty: the file is one array, or all of it is meant
};

enum class ArrayFormat { npy, npz, csv };

/// By the ending, in upper or lower case; anything but .npz and .csv is taken for an .npy.
ArrayFormat format_of_array(const std::filesystem::path& file);

/// Only after .npz and .csv does a colon begin an entry, so that a file may have a colon in its name.
ArrayPath array_path(const std::filesystem::path& written);

}  // namespace tutti
