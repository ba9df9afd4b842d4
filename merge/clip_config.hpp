// The form of CLIP's vision tower, from config.json of a Hugging Face folder. No weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace tutti::merge {

enum class ClipActivation : std::uint8_t { quick_gelu, gelu };

/// Defaults as in transformers, for keys that config.json leaves out.
struct ClipConfig {
  std::int64_t hidden = 768;
  std::int64_t intermediate = 3072;
  std::int64_t layers = 12;
  std::int64_t heads = 12;
  std::int64_t channels = 3;
  std::int64_t image = 224;
  std::int64_t patch = 32;
  double epsilon = 1e-5;  ///< of the norms
  ClipActivation activation = ClipActivation::quick_gelu;

  std::int64_t side() const { return image / patch; }
  std::int64_t patches() const { return side() * side(); }
  std::int64_t tokens() const { return patches() + 1; }
};

/// Reads `folder`/config.json, of a CLIPModel (whose vision_config is used) or a CLIPVisionModel. Throws Error(usage)
/// that names the file: it is missing or not JSON, is of another model, has no vision_config, or has impossible values.
ClipConfig read_clip_config(const std::filesystem::path& folder);

/// The tower of a checkpoint that is to be merged, and the checkpoint's name in messages.
struct NamedTower {
  std::string name;
  ClipConfig config;
};

/// Throws Error(usage) that lists where towers compute differently from the first with the same weights: activation,
/// epsilon of the norms, heads, size of images and patches. Other numbers show in the shapes of the tensors.
void check_same_towers(std::span<const NamedTower> towers);

}  // namespace tutti::merge
