#include "merge/clip_layers.hpp"

#include <charconv>
#include <string>

namespace tutti::merge {
namespace {

constexpr std::string_view kProjectionOfTower = "visual_projection.";

}  // namespace

std::optional<std::size_t> tower_layer(std::string_view tensor, std::size_t layers) {
  if (layers == 0 || tensor.ends_with("position_ids")) return std::nullopt;
  if (tensor.starts_with(kProjectionOfTower)) return layers - 1;
  constexpr std::string_view kPrefix = "vision_model.";
  if (tensor.starts_with(kPrefix)) tensor.remove_prefix(kPrefix.size());
  if (tensor.starts_with("embeddings.") || tensor.starts_with("pre_layrnorm.")) return 0;
  if (tensor.starts_with("post_layernorm.")) return layers - 1;
  constexpr std::string_view kLayers = "encoder.layers.";
  if (!tensor.starts_with(kLayers)) return std::nullopt;
  tensor.remove_prefix(kLayers.size());
  std::size_t number = 0;
  const auto [end, code] = std::from_chars(tensor.data(), tensor.data() + tensor.size(), number);
  const bool named = code == std::errc() && end != tensor.data() + tensor.size() && *end == '.';
  return named && number < layers ? std::optional(number) : std::nullopt;
}

std::vector<std::uint64_t> tower_layer_bytes(const Checkpoint& checkpoint, std::size_t layers, bool projected) {
  std::vector<std::uint64_t> bytes(layers);
  for (const std::string& name : checkpoint.names()) {
    const auto layer = tower_layer(name, layers);
    if (!layer || (!projected && name.starts_with(kProjectionOfTower))) continue;
    const TensorForm& form = checkpoint.form(name);
    bytes[*layer] += form.bytes * 8 / bits_of(form.dtype) * sizeof(float);
  }
  return bytes;
}

}  // namespace tutti::merge
