// A small CLIP tower with as many layers as a test wants, of random weights. For tests only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "common/random.hpp"
#include "merge/safetensors.hpp"

namespace tutti::test {

struct MadeTower {
  std::int64_t layers = 5;
  std::int64_t hidden = 16;
  std::int64_t between = 24;
  std::int64_t image = 32;
  std::int64_t patch = 16;
  bool projected = false;
};

/// Writes config.json and model.safetensors, for images of 3 x image x image.
inline void write_tower(const std::filesystem::path& folder, const MadeTower& tower) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << fmt::format(
      R"({{"model_type": "clip_vision_model", "hidden_size": {}, "intermediate_size": {}, "num_hidden_layers": {}, )"
      R"("num_attention_heads": 4, "image_size": {}, "patch_size": {}}})",
      tower.hidden, tower.between, tower.layers, tower.image, tower.patch);
  std::vector<std::vector<float>> values;
  std::vector<merge::TensorView> tensors;
  const auto add = [&](std::string name, std::vector<std::int64_t> shape, float around = 0) {
    std::size_t count = 1;
    for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
    std::vector<float>& own = values.emplace_back(count);
    for (std::size_t i = 0; i < count; ++i) own[i] = around + (unit_float(random_at(values.size(), i)) - 0.5F) * 0.4F;
    tensors.push_back({std::move(name), merge::Dtype::f32, std::move(shape), std::as_bytes(std::span(own))});
  };
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {tower.hidden}, 1);
    add(name + ".bias", {tower.hidden});
  };
  const std::int64_t side = tower.image / tower.patch;
  const std::string prefix = "vision_model.";
  add(prefix + "embeddings.class_embedding", {tower.hidden});
  add(prefix + "embeddings.patch_embedding.weight", {tower.hidden, 3, tower.patch, tower.patch});
  add(prefix + "embeddings.position_embedding.weight", {side * side + 1, tower.hidden});
  norm(prefix + "pre_layrnorm");
  for (std::int64_t number = 0; number < tower.layers; ++number) {
    const std::string layer = fmt::format("{}encoder.layers.{}.", prefix, number);
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"})
      linear(layer + "self_attn." + name, tower.hidden, tower.hidden);
    linear(layer + "mlp.fc1", tower.between, tower.hidden);
    linear(layer + "mlp.fc2", tower.hidden, tower.between);
    norm(layer + "layer_norm1");
    norm(layer + "layer_norm2");
  }
  norm(prefix + "post_layernorm");
  if (tower.projected) add("visual_projection.weight", {6, tower.hidden});
  merge::write_safetensors(folder / "model.safetensors", tensors, {});
}

}  // namespace tutti::test
