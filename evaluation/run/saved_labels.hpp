// Keeps labels that are not one class per image next to the predictions of the members, for `tutti combine`. A class
// per image travels with the predictions, and the sinks keep it themselves (results/sinks.hpp).
#pragma once

#include <filesystem>

#include <tutti/images.hpp>

namespace tutti {

/// Whether the labels of `source` are not one class per image.
bool has_other_labels(const Source& source);

/// Writes labels.npy into `folder`, which exists: images x the sizes of a label, int64 or float32. The file appears
/// whole or not at all. Call it only if the source has_other_labels(). Throws Error(failed) that names the file.
void save_labels(const std::filesystem::path& folder, Source& source);

}  // namespace tutti
