// The input of a member that is a folder of Hugging Face: what the image processor in that folder does. The exporter
// reads the same files for other models (python/tutti/export/preprocessing.py).
#pragma once

#include <filesystem>
#include <optional>

#include "common/member_input.hpp"

namespace tutti::config {

/// What CLIP's image processor in `folder` does: the one inside processor_config.json, which transformers 5 writes, or
/// else that of preprocessor_config.json. Nothing if there is none. Throws Error(usage) that names the file and the key
/// if the processor is of another class, or does more than resize, crop, rescale and normalise.
std::optional<MemberInput> processor_input(const std::filesystem::path& folder);

}  // namespace tutti::config
