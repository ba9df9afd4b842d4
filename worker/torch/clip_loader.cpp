#include "worker/torch/clip_loader.hpp"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "worker/torch/weights.hpp"

namespace tutti::worker {

at::Tensor ClipLoader::read(const std::string& name) const {
  at::Tensor tensor = at::empty(file_.shape(name), at::kFloat);
  read_tensor(file_.checkpoint(), name, tensor);
  check_finite(file_.checkpoint().path(), name, tensor);
  return tensor;
}

PackedLinear ClipLoader::place(at::Tensor weight, at::Tensor bias, double scale) const {
  if (scale != 1) weight.mul_(scale);
  return {weight.to(device_), bias.defined() ? bias.to(device_) : bias};
}

PackedLinear ClipLoader::linear(const std::vector<std::string>& names, double scale) const {
  const std::vector<std::int64_t> one = file_.shape(file_.name_of(names.front() + ".weight"));
  const auto count = static_cast<std::int64_t>(names.size());
  const at::Tensor weight = at::empty({count * one[0], one[1]}, at::kFloat);
  const at::Tensor bias = at::empty({count * one[0]}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string name = file_.name_of(names[static_cast<std::size_t>(i)]);
    for (const auto& [part, all] : {std::pair(".weight", &weight), std::pair(".bias", &bias)}) {
      const at::Tensor own = all->narrow(0, i * one[0], one[0]);
      read_tensor(file_.checkpoint(), name + part, own);
      check_finite(file_.checkpoint().path(), name + part, own);
    }
  }
  return place(weight, bias, scale);
}

ClipTower::Norm ClipLoader::norm(const std::string& name) const {
  return {tower_tensor(name + ".weight").to(device_), tower_tensor(name + ".bias").to(device_)};
}

ClipTower::Layer ClipLoader::layer(std::int64_t number) const {
  const std::string name = fmt::format("encoder.layers.{}.", number);
  const std::string attention = name + "self_attn.";
  const bool quick = config_.activation == ClipActivation::quick_gelu;
  ClipTower::Layer layer;
  layer.norm1 = norm(name + "layer_norm1");
  layer.norm2 = norm(name + "layer_norm2");
  if (number + 1 < config_.layers) {
    layer.queries_keys_values = linear({attention + "q_proj", attention + "k_proj", attention + "v_proj"});
  } else {
    layer.queries = linear({attention + "q_proj"});
    layer.keys_values = linear({attention + "k_proj", attention + "v_proj"});
  }
  layer.out = linear({attention + "out_proj"});
  layer.up = [&] {
    const at::Tensor bias = tower_tensor(name + "mlp.fc1.bias");
    if (quick) bias.mul_(kQuickGelu);
    return place(tower_tensor(name + "mlp.fc1.weight"), bias, quick ? kQuickGelu : 1);
  }();
  layer.down = linear({name + "mlp.fc2"}, quick ? 1 / kQuickGelu : 1);
  return layer;
}

void ClipLoader::fill(ClipTower& tower) const {
  if (file_.has_embeddings()) {
    tower.before_ = norm("pre_layrnorm");
    const at::Tensor positions = tower_tensor("embeddings.position_embedding.weight");
    tower.class_token_ = tower_tensor("embeddings.class_embedding").add_(positions[0]).to(device_);
    tower.positions_ = positions.narrow(0, 1, config_.patches()).to(device_);
    tower.patches_ = place(tower_tensor("embeddings.patch_embedding.weight").flatten(1), {}, 1);
  }
  if (file_.has_output()) tower.after_ = norm("post_layernorm");
  for (std::int64_t number = file_.first_layer(); number < file_.end_layer(); ++number)
    tower.layers_.push_back(layer(number));
  tower.parameters_ = file_.parameters();
  if (file_.projected()) tower.projection_ = place(read(ClipFile::kProjection), {}, 1);
}

}  // namespace tutti::worker
