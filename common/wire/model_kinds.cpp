#include "common/wire/model_kinds.hpp"

#include <algorithm>
#include <functional>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "common/counted.hpp"
#include "common/json.hpp"
#include "common/onnx_files.hpp"

namespace tutti {
namespace {

template <std::size_t... Index>
std::vector<ModelKind> one_of_each(std::index_sequence<Index...>) {
  return {ModelKind(std::in_place_index<Index>)...};
}

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

/// The files in a folder, at any depth, in an order that does not depend on the disk.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code code;
  for (std::filesystem::recursive_directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (entry->is_regular_file(code)) files.push_back(entry->path());
  std::ranges::sort(files);
  return files;
}

/// Not one that holds the current folder, such as "." or "/": what changes in there is seldom the model.
bool is_folder_of_its_own(const std::string& text) {
  namespace fs = std::filesystem;
  std::error_code no_path;
  if (text.empty() || !fs::is_directory(text, no_path)) return false;
  const fs::path folder = fs::weakly_canonical(text, no_path);
  const fs::path here = fs::current_path(no_path);
  return std::mismatch(folder.begin(), folder.end(), here.begin(), here.end()).first != folder.end();
}

/// The texts in a value, at any depth.
void for_each_text(const json::value& value, const std::function<void(std::string)>& use) {
  if (value.is_string()) use(std::string(value.get_string()));
  if (value.is_array())
    for (const json::value& item : value.get_array()) for_each_text(item, use);
  if (value.is_object())
    for (const auto& entry : value.get_object()) for_each_text(entry.value(), use);
}

template <class Text, class Kind>
Text* folder_in(Kind& kind) {
  Text* folder = nullptr;
  for_each_field(kind, [&](std::string_view, auto& value, const auto& its_form) {
    if constexpr (std::is_same_v<decltype(its_form), const form::Path&>)
      if (its_form.folder) folder = &value;
  });
  return folder;
}

template <class Range, class Kind>
Range* part_in(Kind& kind) {
  Range* part = nullptr;
  for_each_field(kind, [&](std::string_view, auto& value, const auto& its_form) {
    if constexpr (std::is_same_v<decltype(its_form), const form::Layers&>) part = &value;
  });
  return part;
}

/// What is wrong with a part of a network, whichever it is.
std::optional<Clash> clash_of(const LayerRange& part, ComputedBy backend) {
  if (part.whole() || backend == ComputedBy::torch) return std::nullopt;
  return Clash{"backend", fmt::format("a part of a network is computed by torch, not by {}; leave 'backend' out",
                                      to_name(backend))};
}

}  // namespace

std::optional<Clash> Description<MlpModel>::clash(const MlpModel& model) {
  const std::size_t last = std::max(model.part.from, model.part.to);
  const std::size_t layers = model.layers.size();
  if (layers > 0 && last > 0 && last >= layers)
    return Clash{"part", fmt::format("'part' is cut at layer {}, outside the network, which has {}", last,
                                     counted(layers, "layer"))};
  return clash_of(model.part, model.backend);
}

std::optional<Clash> Description<ClipVitModel>::clash(const ClipVitModel& model) {
  if (model.output == ClipOutput::logits && model.head.empty())
    return Clash{"output", "'output: logits' needs 'head', the file that turns features into logits"};
  if (model.output != ClipOutput::logits && !model.head.empty())
    return Clash{"head",
                 fmt::format("'head' has no meaning with 'output: {}'; set 'output: logits'", to_name(model.output))};
  return clash_of(model.part, model.backend);
}

std::uint64_t Description<SmallCnnModel>::parameters(const SmallCnnModel& model, std::uint64_t /*seen*/) {
  constexpr std::uint64_t kConvolutions = 9 * (3 * 32 + 32 * 64 + 64 * 64) + 32 + 64 + 64;
  return kConvolutions + std::uint64_t{64} * (64 * 4 * 4 + 1) + std::uint64_t{model.classes} * (64 + 1);
}

std::uint64_t Description<MlpModel>::parameters(const MlpModel& model, std::uint64_t seen) {
  std::uint64_t count = 0;
  if (model.part.from > 0 && model.part.from <= model.layers.size()) seen = model.layers[model.part.from - 1];
  for (std::size_t i = model.part.from; i < end_of(model.part, model.layers.size()); ++i)
    count += model.layers[i] * (std::exchange(seen, model.layers[i]) + 1);
  return count;
}

std::vector<std::filesystem::path> Description<OnnxFileModel>::more_files(const OnnxFileModel& model) {
  return onnx_weight_files(model.path);
}

std::vector<std::filesystem::path> Description<OpenVinoModel>::more_files(const OpenVinoModel& model) {
  if (std::filesystem::path(model.path).extension() == ".onnx") return onnx_weight_files(model.path);
  std::vector<std::filesystem::path> files;
  std::error_code code;
  for (const auto& [ending, weights] : {std::pair{".xml", ".bin"}, std::pair{".pdmodel", ".pdiparams"}}) {
    std::filesystem::path file = model.path;
    if (file.extension() == ending && std::filesystem::exists(file.replace_extension(weights), code))
      files.push_back(std::move(file));
  }
  for (std::filesystem::path& file : files_below(model.path)) files.push_back(std::move(file));
  std::ranges::sort(files);
  return files;
}

const std::vector<ModelKind>& every_kind() {
  static const auto kinds = one_of_each(std::make_index_sequence<std::variant_size_v<ModelKind>>());
  return kinds;
}

std::optional<ModelKind> kind_called(std::string_view name) {
  for (const ModelKind& kind : every_kind())
    if (kind_name(kind) == name) return kind;
  return std::nullopt;
}

std::vector<std::string> kinds_where(bool (*counts)(const KindFacts&)) {
  std::vector<std::string> names;
  for (const ModelKind& kind : every_kind())
    if (const KindFacts facts = facts_of(kind); counts(facts)) names.emplace_back(facts.name);
  return names;
}

std::vector<std::string_view> keys_of(const ModelKind& kind) {
  std::vector<std::string_view> keys;
  for_each_field(kind, [&](std::string_view key, const auto&, const auto& its_form) {
    keys.push_back(key);
    if constexpr (std::is_same_v<decltype(its_form), const form::Delay&>)
      if (!its_form.in_thousands.empty()) keys.push_back(its_form.in_thousands);
  });
  if (takes_weights(facts_of(kind))) keys.push_back(kWeightsKey);
  return keys;
}

std::optional<Clash> clash_in(const ModelKind& kind) {
  return std::visit(
      []<class Model>(const Model& model) -> std::optional<Clash> {
        if constexpr (requires { Description<Model>::clash(model); }) return Description<Model>::clash(model);
        return std::nullopt;
      },
      kind);
}

std::optional<std::uint64_t> values_per_image(const ModelKind& kind, std::uint64_t seen) {
  return std::visit(
      [&]<class Model>(const Model& model) -> std::optional<std::uint64_t> {
        if constexpr (requires { Description<Model>::values_per_image(model, seen); })
          return Description<Model>::values_per_image(model, seen);
        return std::nullopt;
      },
      kind);
}

std::optional<std::uint64_t> parameters_of(const ModelKind& kind, std::uint64_t seen) {
  return std::visit(
      [&]<class Model>(const Model& model) -> std::optional<std::uint64_t> {
        if constexpr (requires { Description<Model>::parameters(model, seen); })
          return Description<Model>::parameters(model, seen);
        return std::nullopt;
      },
      kind);
}

std::filesystem::path module_file(const PythonModel& model) {
  namespace fs = std::filesystem;
  if (model.is_file()) return model.module();
  std::string relative = model.module();
  std::replace(relative.begin(), relative.end(), '.', '/');
  std::error_code missing;
  for (const fs::path& file :
       {fs::path(model.folder) / (relative + ".py"), fs::path(model.folder) / relative / "__init__.py"})
    if (fs::exists(file, missing)) return file;
  return {};
}

std::vector<NamedPath> paths_of(const ModelKind& kind) {
  std::vector<NamedPath> paths;
  const auto add = [&](std::string_view key, const std::string& path) {
    if (!path.empty()) paths.push_back({fmt::format("model.{}", key), path});
  };
  for_each_field(kind, [&](std::string_view key, const auto& value, const auto& its_form) {
    if constexpr (std::is_same_v<decltype(its_form), const form::Path&>) add(key, value);
    if constexpr (std::is_same_v<decltype(its_form), const form::Paths&>)
      for (const std::string& path : value) add(key, path);
  });
  if (const auto* python = std::get_if<PythonModel>(&kind); python != nullptr && python->is_file())
    add("factory", python->module());
  return paths;
}

std::vector<std::string> entries_of(const ModelKind& kind) {
  std::vector<std::string> entries;
  for_each_field(kind, [&](std::string_view, const auto& value, const auto& its_form) {
    if constexpr (std::is_same_v<decltype(its_form), const form::Texts&>) entries = value;
  });
  return entries;
}

std::string why_only_on_cpu(const ModelKind& kind) {
  const KindFacts facts = facts_of(kind);
  if (facts.library != Library::onnxruntime && facts.library != Library::openvino && !facts.cpu_code) return {};
  const ComputedBy* const by = backend_of(kind);
  return fmt::format("members {} run on the CPU only", by != nullptr ? fmt::format("with 'backend: {}'", to_name(*by))
                                                                     : fmt::format("of kind '{}'", facts.name));
}

ComputedBy* backend_of(ModelKind& kind) {
  ComputedBy* backend = nullptr;
  for_each_field(kind, [&]<class Value>(std::string_view, Value& value, const auto&) {
    if constexpr (std::is_same_v<Value, ComputedBy>) backend = &value;
  });
  return backend;
}
const ComputedBy* backend_of(const ModelKind& kind) {
  const ComputedBy* backend = nullptr;
  for_each_field(kind, [&]<class Value>(std::string_view, const Value& value, const auto&) {
    if constexpr (std::is_same_v<Value, ComputedBy>) backend = &value;
  });
  return backend;
}

LayerRange* part_of(ModelKind& kind) { return part_in<LayerRange>(kind); }
const LayerRange* part_of(const ModelKind& kind) { return part_in<const LayerRange>(kind); }

std::string* folder_of(ModelKind& kind) { return folder_in<std::string>(kind); }
const std::string* folder_of(const ModelKind& kind) { return folder_in<const std::string>(kind); }

std::vector<std::filesystem::path> Description<PythonModel>::more_files(const PythonModel& model) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  if (const fs::path module = module_file(model); !module.empty() && !model.is_file()) files.push_back(module);
  for_each_text(parse_json(model.arguments.json, "the arguments"), [&](const std::string& text) {
    std::error_code no_path;  // a text may be anything
    if (!text.empty() && fs::is_regular_file(text, no_path)) files.emplace_back(text);
    if (is_folder_of_its_own(text))
      for (fs::path& file : files_below(text)) files.push_back(std::move(file));
  });
  return files;
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
  std::visit(
      [&]<class Model>(const Model& model) {
        if constexpr (requires { Description<Model>::more_files(model); })
          for (std::filesystem::path& file : Description<Model>::more_files(model)) files.push_back(std::move(file));
      },
      kind);
  return files;
}

}  // namespace tutti
