#include "worker/clip_file.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/tensor_text.hpp"
#include "merge/clip_layers.hpp"
#include "worker/tensor_differences.hpp"

namespace tutti::worker {
namespace {

constexpr std::string_view kPrefix = "vision_model.";
const std::vector<merge::Dtype> kComputable{merge::Dtype::f32, merge::Dtype::f16, merge::Dtype::bf16};

bool computable(merge::Dtype dtype) { return std::ranges::find(kComputable, dtype) != kComputable.end(); }

std::uint64_t product(const std::vector<std::int64_t>& shape) {
  std::uint64_t result = 1;
  for (const std::int64_t size : shape) result *= static_cast<std::uint64_t>(size);
  return result;
}

const ClipVitModel& tower_model_of(const MemberRequest& request) { return std::get<ClipVitModel>(request.model); }

/// Of a part of a tower behind its first layers: it takes the tokens that these output.
void check_tokens(const MemberRequest& request, const ClipConfig& config) {
  const TensorLayout& seen = request.seen();
  const auto values = static_cast<std::uint64_t>(config.tokens() * config.hidden);
  if (seen.dtype == Dtype::float32 && seen.elements() == values) return;
  throw Error(
      ErrorKind::usage,
      fmt::format("the part of the tower in '{}' from layer {} on takes {} values of float32 for each image, not "
                  "{}",
                  tower_model_of(request).path, tower_model_of(request).part.from, values, layout_text(seen)),
      fmt::format("{} tokens of {}", config.tokens(), config.hidden),
      "put the part of the tower that ends there in front of it");
}

void check_part(const ClipVitModel& model, const ClipConfig& config) {
  const std::int64_t cut = std::max(model.part.from, model.part.to);
  if (cut == 0 || cut < config.layers) return;
  throw Error(ErrorKind::usage, fmt::format("'part' is cut at layer {}, outside the tower in '{}'", cut, model.path),
              fmt::format("it has {}", counted(static_cast<std::uint64_t>(config.layers), "layer")),
              "leave 'to' out for all layers up to the last");
}

ClipConfig config_for(const MemberRequest& request) {
  const ClipConfig config = merge::read_clip_config(tower_model_of(request).path);
  check_part(tower_model_of(request), config);
  if (tower_model_of(request).part.from > 0) {
    check_tokens(request, config);
    return config;
  }
  const ImageShape shape = images_of(request);
  if (shape.channels == config.channels && shape.height == config.image && shape.width == config.image) return config;
  throw Error(ErrorKind::usage,
              fmt::format("the tower in '{}' takes images of {}x{}x{}, not {}", tower_model_of(request).path,
                          config.channels, config.image, config.image, shape.text()),
              {}, "resize them: 'input' at this member, or of the whole");
}

}  // namespace

ClipFile::ClipFile(const ClipConfig& config, const std::filesystem::path& weights, bool projected,
                   const LayerRange& part)
    : config_(config), checkpoint_(merge::Checkpoint::open(weights)), projected_(projected), part_(part) {
  // transformers 5 writes a CLIPVisionModel without the prefix that all others have.
  const auto& names = checkpoint_.names();
  if (std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.starts_with(kPrefix); }))
    prefix_ = kPrefix;
  expect_tower();
  check();
}

std::uint64_t ClipFile::parameters() const {
  std::uint64_t sum = projected_ ? product(shape(kProjection)) : 0;
  for (const auto& [name, shape] : expected_) sum += product(shape);
  return sum;
}

void ClipFile::expect_linear(const std::string& name, std::int64_t out, std::int64_t in) {
  expected_[prefix_ + name + ".weight"] = {out, in};
  expected_[prefix_ + name + ".bias"] = {out};
}

void ClipFile::expect_norm(const std::string& name) {
  expected_[prefix_ + name + ".weight"] = {config_.hidden};
  expected_[prefix_ + name + ".bias"] = {config_.hidden};
}

void ClipFile::expect_layer(std::int64_t number) {
  const std::string layer = fmt::format("encoder.layers.{}.", number);
  for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"})
    expect_linear(layer + "self_attn." + part, config_.hidden, config_.hidden);
  expect_linear(layer + "mlp.fc1", config_.intermediate, config_.hidden);
  expect_linear(layer + "mlp.fc2", config_.hidden, config_.intermediate);
  expect_norm(layer + "layer_norm1");
  expect_norm(layer + "layer_norm2");
}

void ClipFile::expect_tower() {
  if (has_embeddings()) {
    expected_[prefix_ + "embeddings.class_embedding"] = {config_.hidden};
    expected_[prefix_ + "embeddings.patch_embedding.weight"] = {config_.hidden, config_.channels, config_.patch,
                                                                config_.patch};
    expected_[prefix_ + "embeddings.position_embedding.weight"] = {config_.tokens(), config_.hidden};
    expect_norm("pre_layrnorm");  // every checkpoint spells it like this
  }
  if (has_output()) expect_norm("post_layernorm");
  for (std::int64_t number = first_layer(); number < end_layer(); ++number) expect_layer(number);
}

/// Whether a tensor of the tower is of layers that another part of it has.
bool ClipFile::is_of_other_part(const std::string& name) const {
  const auto layer = merge::tower_layer(name, static_cast<std::size_t>(config_.layers));
  return layer &&
         (static_cast<std::int64_t>(*layer) < first_layer() || static_cast<std::int64_t>(*layer) >= end_layer());
}

/// Tensors that may be there besides the tower: the rest of a CLIPModel, and constants that are not weights.
bool ClipFile::belongs_to_tower(const std::string& name) const {
  if (name.ends_with("position_ids")) return false;
  if (!prefix_.empty()) return name.starts_with(prefix_);
  static constexpr std::array<std::string_view, 4> kOthers{"text_model.", "text_projection.", "visual_projection.",
                                                           "logit_scale"};
  return std::none_of(kOthers.begin(), kOthers.end(), [&](std::string_view other) { return name.starts_with(other); });
}

std::vector<std::string> ClipFile::differences() const {
  TensorForms found;
  for (const std::string& name : checkpoint_.names())
    if ((belongs_to_tower(name) && !is_of_other_part(name)) || expected_.contains(name))
      found[name] = checkpoint_.form(name);
  std::vector<WantedTensor> wanted;
  for (const auto& [name, shape] : expected_) wanted.push_back({name, shape, kComputable});
  return tensor_differences(found, wanted);
}

void ClipFile::check_projection(std::vector<std::string>& found) const {
  const bool there = checkpoint_.contains(kProjection);
  const auto shape = there ? checkpoint_.form(kProjection).shape : Shape{};
  if (!there)
    found.push_back(fmt::format("{} is missing, which 'output: projected' needs", kProjection));
  else if (shape.size() != 2 || shape[0] < 1 || shape[1] != config_.hidden)
    found.push_back(
        fmt::format("{} has shape {}, expected [any, {}]", kProjection, merge::shape_text(shape), config_.hidden));
  else if (!computable(checkpoint_.form(kProjection).dtype))
    found.push_back(fmt::format("{} has type {}{}, expected {}", kProjection,
                                merge::dtype_name(checkpoint_.form(kProjection).dtype),
                                merge::is_supported(checkpoint_.form(kProjection).dtype) ? "" : ", which is not supported",
                                one_of(kComputable)));
}

void ClipFile::check() const {
  std::vector<std::string> found = differences();
  if (projected_) check_projection(found);
  if (found.empty()) return;
  throw Error(
      ErrorKind::usage,
      fmt::format("the weights in '{}' do not fit the vision tower of its config.json", checkpoint_.path().string()),
      listed(std::move(found)), "name the weights of a CLIP tower of the same size");
}

ClipFile clip_file_of(const MemberRequest& request) {
  const ClipVitModel& model = tower_model_of(request);
  ClipFile file(config_for(request), request.weights.empty() ? model.path : request.weights,
                model.output == ClipOutput::projected && model.part.to == 0, model.part);
  if (model.part.to > 0) return file;  // its outputs are tokens
  if (request.output != kind_of(model.output))
    throw Error(ErrorKind::usage,
                fmt::format("a clip-vit with 'output: {}' outputs {}, not {}", to_name(model.output),
                            to_name(kind_of(model.output)), to_name(request.output)),
                {}, "remove 'output' from this member; it belongs in its 'model'");
  return file;
}

std::optional<merge::Head> clip_head_of(const MemberRequest& request, const ClipConfig& config) {
  const ClipVitModel& model = tower_model_of(request);
  if (model.output != ClipOutput::logits || model.part.to > 0) return std::nullopt;
  merge::Head head = merge::Head::read(model.head);
  if (head.features() != static_cast<std::uint64_t>(config.hidden))
    throw Error(ErrorKind::usage,
                fmt::format("the head '{}' takes {}, but the tower in '{}' outputs {}", head.file().string(),
                            counted(head.features(), "feature"), model.path, config.hidden),
                head.tower().empty() ? "" : fmt::format("it was made with {}", head.tower()),
                "make the head for this tower, with its projection");
  return head;
}

}  // namespace tutti::worker
