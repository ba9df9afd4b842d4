// The input of a member whose model comes from Hugging Face: what the image processor in a folder does. The exporter
// reads the same files (python/tutti/export/preprocessing.py), and a test compares the two.
#pragma once

#include <filesystem>
#include <optional>

#include "common/member_input.hpp"

namespace tutti::config {

/// Which classes of image processors are read.
enum class ProcessorClasses {
  clip,  ///< those of CLIP; a file that names no class is taken for one
  plain  ///< all that only resize, crop, rescale and normalise
};

/// What the image processor in `folder` does: the one inside processor_config.json, which transformers 5 writes, or
/// else that of preprocessor_config.json. Nothing if there is none. Throws Error(usage) that names the file and the key
/// if the processor is of another class, or does more than resize, crop, rescale and normalise.
std::optional<MemberInput> processor_input(const std::filesystem::path& folder,
                                           ProcessorClasses classes = ProcessorClasses::clip);

}  // namespace tutti::config
