#include "merge/clip_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/json.hpp"

namespace tutti::merge {
namespace {

constexpr std::int64_t kMost = 1 << 20;
constexpr std::int64_t kMostLayers = 1000;

class ConfigFile {
 public:
  explicit ConfigFile(std::filesystem::path file) : file_(std::move(file)) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file_, ignored))
      throw Error(ErrorKind::usage, fmt::format("there is no readable file '{}'", file_.string()), {},
                  "'path' of a clip-vit is a folder with config.json, as save_pretrained writes it");
    const std::string text = read_text(file_, "the model's configuration");
    try {
      root_ = parse_json(text, "the file");
    } catch (const Error& error) {
      refuse(fmt::format("it is not valid JSON: {}", error.detail()));
    }
    if (!root_.is_object()) refuse("it is not a JSON object");
  }

  const json::object& root() const { return root_.get_object(); }

  [[noreturn]] void refuse(const std::string& reason) const {
    throw Error(ErrorKind::usage, fmt::format("'{}' does not describe a CLIP vision tower", file_.string()), reason,
                "name the folder of a CLIPModel, a CLIPVisionModel or a CLIPVisionModelWithProjection");
  }

 private:
  std::filesystem::path file_;
  json::value root_;
};

/// The object with the tower's keys.
const json::object& tower_of(const ConfigFile& file) {
  const json::object& root = file.root();
  const json::value* type = root.if_contains("model_type");
  const std::string name = type != nullptr && type->is_string() ? std::string(type->get_string()) : "";
  if (name == "clip_vision_model") return root;
  if (name != "clip") file.refuse(fmt::format("its model_type is '{}'; clip or clip_vision_model is needed", name));
  const json::value* vision = root.if_contains("vision_config");
  if (vision == nullptr || !vision->is_object()) file.refuse("it has no vision_config");
  return vision->get_object();
}

std::int64_t whole(const ConfigFile& file, const json::object& tower, const char* key, std::int64_t otherwise,
                   std::int64_t most = kMost) {
  const json::value* value = tower.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  json::error_code code;
  const auto number = value->to_number<std::int64_t>(code);
  if (code || number < 1 || number > most)
    file.refuse(
        fmt::format("'{}' is {}, and a whole number from 1 to {} is needed", key, json::serialize(*value), most));
  return number;
}

double epsilon_of(const ConfigFile& file, const json::object& tower, double otherwise) {
  const json::value* value = tower.if_contains("layer_norm_eps");
  if (value == nullptr || value->is_null()) return otherwise;
  json::error_code code;
  const auto number = value->to_number<double>(code);
  if (code || !(number > 0)) file.refuse("'layer_norm_eps' must be a number above 0");
  return number;
}

ClipActivation activation_of(const ConfigFile& file, const json::object& tower) {
  const json::value* value = tower.if_contains("hidden_act");
  if (value == nullptr || value->is_null() || *value == "quick_gelu") return ClipActivation::quick_gelu;
  if (*value == "gelu") return ClipActivation::gelu;
  file.refuse(fmt::format("'hidden_act' is {}, and quick_gelu or gelu can be computed", json::serialize(*value)));
}

std::string_view activation_name(ClipActivation activation) {
  return activation == ClipActivation::gelu ? "gelu" : "quick_gelu";
}

}  // namespace

ClipConfig read_clip_config(const std::filesystem::path& folder) {
  const ConfigFile file(folder / "config.json");
  const json::object& tower = tower_of(file);
  ClipConfig config;
  config.hidden = whole(file, tower, "hidden_size", config.hidden);
  config.intermediate = whole(file, tower, "intermediate_size", config.intermediate);
  config.layers = whole(file, tower, "num_hidden_layers", config.layers, kMostLayers);
  config.heads = whole(file, tower, "num_attention_heads", config.heads);
  config.channels = whole(file, tower, "num_channels", config.channels);
  config.image = whole(file, tower, "image_size", config.image);
  config.patch = whole(file, tower, "patch_size", config.patch);
  config.epsilon = epsilon_of(file, tower, config.epsilon);
  config.activation = activation_of(file, tower);
  if (config.hidden % config.heads != 0)
    file.refuse(
        fmt::format("'hidden_size' {} is not a multiple of 'num_attention_heads' {}", config.hidden, config.heads));
  if (config.patch > config.image)
    file.refuse(fmt::format("'patch_size' {} is larger than 'image_size' {}", config.patch, config.image));
  return config;
}

void check_same_towers(std::span<const NamedTower> towers) {
  std::vector<std::string> lines;
  for (const NamedTower& other : towers.subspan(std::min<std::size_t>(1, towers.size()))) {
    const ClipConfig& first = towers.front().config;
    const auto compare = [&](const char* key, const auto& found, const auto& wanted) {
      if (found != wanted) lines.push_back(fmt::format("{} has {} {} instead of {}", other.name, key, found, wanted));
    };
    compare("hidden_act", activation_name(other.config.activation), activation_name(first.activation));
    compare("layer_norm_eps", other.config.epsilon, first.epsilon);
    compare("num_attention_heads", other.config.heads, first.heads);
    compare("image_size", other.config.image, first.image);
    compare("patch_size", other.config.patch, first.patch);
  }
  if (lines.empty()) return;
  throw Error(ErrorKind::usage, "cannot merge the checkpoints: their models compute differently",
              fmt::format("{}", fmt::join(lines, "\n")),
              "merge checkpoints of the same architecture, fine-tuned from the same base");
}

}  // namespace tutti::merge
