#include "worker/torch/clip_loader.hpp"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <tutti/error.hpp>

#include "worker/tensor_differences.hpp"
#include "worker/torch/weights.hpp"

namespace tutti::worker {
namespace {

constexpr std::string_view kPrefix = "vision_model.";
constexpr const char* kProjection = "visual_projection.weight";
/// quick_gelu(x) = x * sigmoid(1.702 x) = silu(1.702 x) / 1.702: the factor goes into the layers around it.
constexpr double kQuickGelu = 1.702;
const std::vector<merge::Dtype> kComputable{merge::Dtype::f32, merge::Dtype::f16, merge::Dtype::bf16};

bool computable(merge::Dtype dtype) { return std::ranges::find(kComputable, dtype) != kComputable.end(); }

std::int64_t product(const std::vector<std::int64_t>& shape) {
  std::int64_t result = 1;
  for (const std::int64_t size : shape) result *= size;
  return result;
}

}  // namespace

ClipLoader::ClipLoader(const ClipConfig& config, const std::filesystem::path& weights, bool projected,
                       at::Device device)
    : config_(config), checkpoint_(merge::Checkpoint::open(weights)), projected_(projected), device_(device) {
  // transformers 5 writes a CLIPVisionModel without the prefix that all others have.
  const auto& names = checkpoint_.names();
  if (std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.starts_with(kPrefix); }))
    prefix_ = kPrefix;
  expect_tower();
  check();
}

void ClipLoader::expect_linear(const std::string& name, std::int64_t out, std::int64_t in) {
  expected_[prefix_ + name + ".weight"] = {out, in};
  expected_[prefix_ + name + ".bias"] = {out};
}

void ClipLoader::expect_norm(const std::string& name) {
  expected_[prefix_ + name + ".weight"] = {config_.hidden};
  expected_[prefix_ + name + ".bias"] = {config_.hidden};
}

void ClipLoader::expect_layer(std::int64_t number) {
  const std::string layer = fmt::format("encoder.layers.{}.", number);
  for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"})
    expect_linear(layer + "self_attn." + part, config_.hidden, config_.hidden);
  expect_linear(layer + "mlp.fc1", config_.intermediate, config_.hidden);
  expect_linear(layer + "mlp.fc2", config_.hidden, config_.intermediate);
  expect_norm(layer + "layer_norm1");
  expect_norm(layer + "layer_norm2");
}

void ClipLoader::expect_tower() {
  expected_[prefix_ + "embeddings.class_embedding"] = {config_.hidden};
  expected_[prefix_ + "embeddings.patch_embedding.weight"] = {config_.hidden, config_.channels, config_.patch,
                                                              config_.patch};
  expected_[prefix_ + "embeddings.position_embedding.weight"] = {config_.tokens(), config_.hidden};
  expect_norm("pre_layrnorm");  // every checkpoint spells it like this
  expect_norm("post_layernorm");
  for (std::int64_t number = 0; number < config_.layers; ++number) expect_layer(number);
}

/// Tensors that may be there besides the tower: the rest of a CLIPModel, and constants that are not weights.
bool ClipLoader::belongs_to_tower(const std::string& name) const {
  if (name.ends_with("position_ids")) return false;
  if (!prefix_.empty()) return name.starts_with(prefix_);
  static constexpr std::array<std::string_view, 4> kOthers{"text_model.", "text_projection.", "visual_projection.",
                                                           "logit_scale"};
  return std::none_of(kOthers.begin(), kOthers.end(), [&](std::string_view other) { return name.starts_with(other); });
}

std::vector<std::string> ClipLoader::differences() const {
  TensorForms found;
  for (const std::string& name : checkpoint_.names())
    if (belongs_to_tower(name) || expected_.contains(name)) found[name] = checkpoint_.form(name);
  std::vector<WantedTensor> wanted;
  for (const auto& [name, shape] : expected_) wanted.push_back({name, shape, kComputable});
  return tensor_differences(found, wanted);
}

void ClipLoader::check() const {
  std::vector<std::string> found = differences();
  if (projected_) {
    const bool there = checkpoint_.contains(kProjection);
    const auto shape = there ? checkpoint_.form(kProjection).shape : Shape{};
    if (!there)
      found.push_back(fmt::format("{} is missing, which 'output: projected' needs", kProjection));
    else if (shape.size() != 2 || shape[0] < 1 || shape[1] != config_.hidden)
      found.push_back(
          fmt::format("{} has shape {}, expected [any, {}]", kProjection, merge::shape_text(shape), config_.hidden));
    else if (!computable(checkpoint_.form(kProjection).dtype))
      found.push_back(fmt::format(
          "{} has type {}{}, expected {}", kProjection, merge::dtype_name(checkpoint_.form(kProjection).dtype),
          merge::is_supported(checkpoint_.form(kProjection).dtype) ? "" : ", which is not supported",
          one_of(kComputable)));
  }
  if (found.empty()) return;
  throw Error(
      ErrorKind::usage,
      fmt::format("the weights in '{}' do not fit the vision tower of its config.json", checkpoint_.path().string()),
      listed(std::move(found)), "name the weights of a CLIP tower of the same size");
}

at::Tensor ClipLoader::read(const std::string& name) const {
  at::Tensor tensor = at::empty(checkpoint_.form(name).shape, at::kFloat);
  read_tensor(checkpoint_, name, tensor);
  check_finite(checkpoint_.path(), name, tensor);
  return tensor;
}

PackedLinear ClipLoader::place(at::Tensor weight, at::Tensor bias, double scale) const {
  if (scale != 1) weight.mul_(scale);
  return {weight.to(device_), bias.defined() ? bias.to(device_) : bias};
}

PackedLinear ClipLoader::linear(const std::vector<std::string>& names, double scale) const {
  const Shape one = expected_.at(prefix_ + names.front() + ".weight");
  const auto count = static_cast<std::int64_t>(names.size());
  const at::Tensor weight = at::empty({count * one[0], one[1]}, at::kFloat);
  const at::Tensor bias = at::empty({count * one[0]}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string name = prefix_ + names[static_cast<std::size_t>(i)];
    for (const auto& [part, all] : {std::pair(".weight", &weight), std::pair(".bias", &bias)}) {
      const at::Tensor own = all->narrow(0, i * one[0], one[0]);
      read_tensor(checkpoint_, name + part, own);
      check_finite(checkpoint_.path(), name + part, own);
    }
  }
  return place(weight, bias, scale);
}

ClipTower::Norm ClipLoader::norm(const std::string& name) const {
  return {read(prefix_ + name + ".weight").to(device_), read(prefix_ + name + ".bias").to(device_)};
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
    const at::Tensor bias = read(prefix_ + name + "mlp.fc1.bias");
    if (quick) bias.mul_(kQuickGelu);
    return place(read(prefix_ + name + "mlp.fc1.weight"), bias, quick ? kQuickGelu : 1);
  }();
  layer.down = linear({name + "mlp.fc2"}, quick ? 1 / kQuickGelu : 1);
  return layer;
}

void ClipLoader::fill(ClipTower& tower) const {
  tower.before_ = norm("pre_layrnorm");
  tower.after_ = norm("post_layernorm");
  const at::Tensor positions = read(prefix_ + "embeddings.position_embedding.weight");
  tower.class_token_ = read(prefix_ + "embeddings.class_embedding").add_(positions[0]).to(device_);
  tower.positions_ = positions.narrow(0, 1, config_.patches()).to(device_);
  tower.patches_ = place(read(prefix_ + "embeddings.patch_embedding.weight").flatten(1), {}, 1);
  for (std::int64_t number = 0; number < config_.layers; ++number) tower.layers_.push_back(layer(number));
  for (const auto& [name, shape] : expected_) tower.parameters_ += static_cast<std::uint64_t>(product(shape));
  if (!projected_) return;
  tower.projection_ = place(read(kProjection), {}, 1);
  tower.parameters_ += static_cast<std::uint64_t>(product(checkpoint_.form(kProjection).shape));
}

}  // namespace tutti::worker
