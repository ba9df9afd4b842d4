#include "common/wire/member_request.hpp"

#include <algorithm>

namespace tutti {
namespace {

struct NameOf {
  std::string_view operator()(const SmallCnnModel&) const { return "small-cnn"; }
  std::string_view operator()(const MlpModel&) const { return "mlp"; }
  std::string_view operator()(const TorchScriptModel&) const { return "torchscript"; }
  std::string_view operator()(const AotiModel&) const { return "aoti"; }
  std::string_view operator()(const ClipVitModel&) const { return "clip-vit"; }
  std::string_view operator()(const FakeModel&) const { return "fake"; }
};

void add_folder(const std::filesystem::path& folder, bool with_weights, std::vector<std::filesystem::path>& files) {
  if (std::filesystem::exists(folder / "config.json")) files.push_back(folder / "config.json");
  if (!with_weights) return;
  const std::filesystem::path index = folder / "model.safetensors.index.json";  // it says which of them count
  if (std::filesystem::exists(index)) files.push_back(index);
  const auto first = static_cast<std::ptrdiff_t>(files.size());
  std::error_code code;
  for (std::filesystem::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (entry->path().extension() == ".safetensors") files.push_back(entry->path());
  std::sort(files.begin() + first, files.end());
}

}  // namespace

std::string_view kind_name(const ModelKind& kind) { return std::visit(NameOf{}, kind); }

std::vector<NamedPath> paths_of(const ModelKind& kind) {
  std::vector<NamedPath> paths;
  if (const auto* script = std::get_if<TorchScriptModel>(&kind)) paths.push_back({"model.path", script->path});
  if (const auto* aoti = std::get_if<AotiModel>(&kind))
    for (const std::string& path : aoti->paths) paths.push_back({"model.path", path});
  if (const auto* clip = std::get_if<ClipVitModel>(&kind)) {
    paths.push_back({"model.path", clip->path});
    if (!clip->head.empty()) paths.push_back({"model.head", clip->head});
  }
  return paths;
}

std::vector<std::filesystem::path> files_of(const ModelKind& kind, const std::filesystem::path& weights) {
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (const NamedPath& named : paths_of(kind)) {
    if (std::filesystem::is_directory(named.path, missing))
      add_folder(named.path, weights.empty(), files);
    else if (std::filesystem::exists(named.path, missing))
      files.emplace_back(named.path);
  }
  return files;
}

bool answers_only(const ModelKind& kind) {
  return std::holds_alternative<TorchScriptModel>(kind) || std::holds_alternative<AotiModel>(kind) ||
         std::holds_alternative<ClipVitModel>(kind);
}

}  // namespace tutti
