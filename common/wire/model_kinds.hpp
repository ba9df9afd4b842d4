// The kinds of models: what a configuration can say about each, and what is known about it before it is loaded. Readers
// and writers of YAML and of control messages, the fingerprint of a run, the memory bounds and the messages to people
// all derive from these descriptions. How a model computes is known only to the worker.
//
// A new kind is a struct in include/tutti/models.hpp, an entry in ModelKind there, its Description here, and its model
// in the worker. The description has:
//
//   facts(model)                    what holds for this model before it is loaded
//   fields(model, field)            calls field(key, value, form) for each key that the kind has in YAML, in the order
//                                   in which it is written there; `kind` and `weights` are not among them
//   clash(model)                    optional: what is wrong with fields that are right one by one
//   values_per_image(model, seen)   optional, for the memory bounds: see values_per_image() below
//   parameters(model, seen)         the same: see parameters_of() below
//   more_files(model)               optional: the files that belong to the one that `path` names
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/models.hpp>

#include "common/values.hpp"
#include "common/wire/model_forms.hpp"

namespace tutti {

/// The widest layer or output that a configuration can ask for.
constexpr std::uint32_t kMaxModelWidth = 1U << 20;

/// The most outputs of a model that a member joins.
constexpr std::size_t kMaxEntries = 64;

/// Where a model has its weights from.
enum class WeightsFrom : std::uint8_t {
  seed,     ///< from the seed, or from the safetensors file in `weights`
  tower,    ///< from a folder as Hugging Face writes a CLIP model, or from `weights`; the vision tower's are used
  module,   ///< from the file of a program, where those in `weights` take their place
  package,  ///< from the file of a compiled program; there is no `weights`
  factory,  ///< from whatever a Python function reads; there is no `weights`
  nothing,  ///< it has none; there is no `weights`
};

/// What the numbers mean that a model outputs.
struct FixedOutput {
  OutputKind kind;
  std::string_view chosen_by{};   ///< the model's key `output` has this value, and another may change it; or empty
  std::string_view for_logits{};  ///< with `chosen_by`: the keys with which the model answers logits
};

/// What a model takes of a sample: one image, of float32; one tensor of float32, of any sizes; one or several tensors
/// of any type, also by the names of its arguments; or nothing but its number.
enum class Takes : std::uint8_t { image, numbers, any, nothing };

struct KindFacts {
  std::string_view name;
  WeightsFrom weights = WeightsFrom::seed;
  Takes takes = Takes::any;
  Library library = Library::torch;
  bool trainable = false;               ///< its weights can be trained
  bool fusable = false;                 ///< equal members can be computed as one network
  bool learns_statistics = false;       ///< those of its BatchNorm layers can be estimated over images
  std::optional<FixedOutput> output{};  ///< nothing: the member's `output` says it
  std::optional<ImageShape> images{};   ///< the only images that it takes; nothing: that is not known, or it takes any
  std::uint32_t width = 0;              ///< values per image of its output; 0: only the loaded model knows
  Dims per_class{};                     ///< if `width` is known: the sizes of what it has for each class, as of a mask
  bool random = false;                  ///< its predictions are random, or depend on the batch, on purpose
  std::string_view one_size{};          ///< why one loaded model takes images of one size only; empty: of any
  bool cpu_code = false;                ///< it holds code for the CPU only

  /// The sizes of a prediction, if `width` is known.
  std::optional<Dims> prediction() const {
    if (width == 0) return std::nullopt;
    Dims sizes{static_cast<std::uint32_t>(width / elements_of(per_class))};
    sizes.insert(sizes.end(), per_class.begin(), per_class.end());
    return sizes;
  }
};

/// Fields that do not go together: what to say, and at which key.
struct Clash {
  std::string_view key;
  std::string text;
};

// ---- the descriptions ----------------------------------------------------------------------------------------------

/// The layer behind the last one of a part of a network with so many layers.
constexpr std::size_t end_of(const LayerRange& part, std::size_t layers) {
  return part.to == 0 ? layers : std::min<std::size_t>(part.to, layers);
}

/// What is known about a kind: see the top of this file.
template <class Model>
struct Description;

template <>
struct Description<SmallCnnModel> {
  static KindFacts facts(const SmallCnnModel& model) {
    return {.name = "small-cnn",
            .takes = Takes::image,
            .library = library_of(model.backend),
            .trainable = true,
            .fusable = model.backend == ComputedBy::torch,
            .output = FixedOutput{OutputKind::logits},
            .images = ImageShape{3, 32, 32},
            .width = model.classes};
  }
  static void fields(auto& model, auto&& field) {
    field("classes", model.classes, form::Whole{1, kMaxModelWidth});
    field("backend", model.backend, form::Choice{});
  }
  static std::uint64_t values_per_image(const SmallCnnModel&, std::uint64_t seen) {
    return seen + std::uint64_t{2} * 32 * 30 * 30;
  }
  static std::uint64_t parameters(const SmallCnnModel& model, std::uint64_t seen);
};

template <>
struct Description<MlpModel> {
  static KindFacts facts(const MlpModel& model) {
    return {.name = "mlp",
            .takes = Takes::numbers,
            .library = library_of(model.backend),
            .trainable = model.part.whole(),
            .fusable = model.backend == ComputedBy::torch && model.part.whole(),
            .output = FixedOutput{model.part.to == 0 ? OutputKind::logits : OutputKind::values},
            .width = model.layers.empty() ? 0 : model.layers[end_of(model.part, model.layers.size()) - 1],
            .one_size = "its first layer has a weight for each of their values"};
  }
  static void fields(auto& model, auto&& field) {
    field("layers", model.layers, form::Widths{"the hidden widths and then the number of classes: [64, 10]", 64});
    field("backend", model.backend, form::Choice{});
    field("part", model.part, form::Layers{});
  }
  static std::optional<Clash> clash(const MlpModel& model);
  static std::uint64_t values_per_image(const MlpModel& model, std::uint64_t seen) {
    std::uint64_t widest = seen;
    for (std::size_t i = model.part.from; i < end_of(model.part, model.layers.size()); ++i)
      widest = std::max<std::uint64_t>(widest, model.layers[i]);
    return 2 * widest;
  }
  static std::uint64_t parameters(const MlpModel& model, std::uint64_t seen);
};

template <>
struct Description<TorchScriptModel> {
  static KindFacts facts(const TorchScriptModel& model) {
    return {.name = "torchscript", .weights = WeightsFrom::module, .learns_statistics = true, .random = model.random};
  }
  static void fields(auto& model, auto&& field) {
    field("path", model.path, form::Path{"the file that torch.jit.save wrote"});
    field("optimize", model.optimize, form::Flag{});
    field("output", model.entries, form::Texts{kMaxEntries});
    field("random", model.random, form::Flag{});
  }
};

template <>
struct Description<AotiModel> {
  static KindFacts facts(const AotiModel&) {
    return {.name = "aoti",
            .weights = WeightsFrom::package,
            .takes = Takes::image,
            .one_size = "its packages are compiled for that size",
            .cpu_code = true};
  }
  static void fields(auto& model, auto&& field) {
    field("path", model.paths,
          form::Paths{"the package that AOTInductor wrote, or a list of several for fixed batches", 16});
    field("output", model.entries, form::Texts{kMaxEntries});
  }
};

template <>
struct Description<OnnxFileModel> {
  static KindFacts facts(const OnnxFileModel&) {
    return {.name = "onnx", .weights = WeightsFrom::package, .library = Library::onnxruntime};
  }
  static void fields(auto& model, auto&& field) {
    field("path", model.path, form::Path{"the .onnx file"});
    field("output", model.entries, form::Texts{1});
  }
  /// The files besides it that hold its weights; only those that are there.
  static std::vector<std::filesystem::path> more_files(const OnnxFileModel& model);
};

template <>
struct Description<OpenVinoModel> {
  static KindFacts facts(const OpenVinoModel&) {
    return {.name = "openvino", .weights = WeightsFrom::package, .library = Library::openvino};
  }
  static void fields(auto& model, auto&& field) {
    field("path", model.path, form::Path{"the file of the model, such as .onnx or .xml"});
    field("output", model.entries, form::Texts{1});
    field("streams", model.streams, form::Whole{1, 256});
    field("precision", model.precision, form::Choice{});
    field("cache", model.cache, form::CacheFolder{});
  }
  /// The weights of an .xml, a .pdmodel or an .onnx next to it; all of a SavedModel. Sorted; only those that are there.
  static std::vector<std::filesystem::path> more_files(const OpenVinoModel& model);
};

template <>
struct Description<PythonModel> {
  static KindFacts facts(const PythonModel& model) {
    return {.name = "python", .weights = WeightsFrom::factory, .library = Library::python, .random = model.random};
  }
  static void fields(auto& model, auto&& field) {
    field("factory", model.factory, form::Factory{"the function that makes the model: my_models:make"});
    field("arguments", model.arguments, form::Call{});
    field("python", model.python, form::Interpreter{});
    field("folder", model.folder, form::ModuleFolder{});
    field("random", model.random, form::Flag{});
  }
  /// The file of its module, and those that its arguments name; only those that are there.
  static std::vector<std::filesystem::path> more_files(const PythonModel& model);
};

/// The file of the module if it is one that the description names, or is in `folder`; whether it exists or not. Empty:
/// the module may be anywhere in Python's path.
std::filesystem::path module_file(const PythonModel& model);

template <>
struct Description<ClipVitModel> {
  static KindFacts facts(const ClipVitModel& model) {
    return {.name = "clip-vit",
            .weights = WeightsFrom::tower,
            .takes = model.part.from == 0 ? Takes::image : Takes::numbers,
            .library = library_of(model.backend),
            .output = model.part.to == 0
                          ? FixedOutput{kind_of(model.output), to_name(model.output), "'output: logits' and 'head'"}
                          : FixedOutput{OutputKind::values},
            .one_size = "its tower has an embedding for each patch of them"};
  }
  static void fields(auto& model, auto&& field) {
    field("path", model.path, form::Path{"the folder with config.json and model.safetensors", /*folder=*/true});
    field("output", model.output, form::Choice{});
    field("head", model.head, form::Path{});
    field("backend", model.backend, form::Choice{});
    field("part", model.part, form::Layers{});
  }
  static std::optional<Clash> clash(const ClipVitModel& model);
};

template <>
struct Description<SavedModel> {
  static KindFacts facts(const SavedModel&) {
    return {.name = "saved", .weights = WeightsFrom::nothing, .takes = Takes::nothing, .library = Library::none};
  }
  static void fields(auto& model, auto&& field) {
    field("predictions", model.predictions, form::Path{"the .npy file with a row for each sample of the input"});
  }
};

template <>
struct Description<FakeModel> {
  static KindFacts facts(const FakeModel& model) {
    return {.name = "fake",
            .library = Library::none,
            .trainable = true,
            .width = model.width(),
            .per_class = model.per_class};
  }
  static void fields(auto& model, auto&& field) {
    constexpr std::uint64_t kHourMs = 3'600'000;
    field("classes", model.classes, form::Whole{1, kMaxModelWidth});
    field("per_class", model.per_class, form::Sizes{kMaxRank - 1});
    field("delay_us", model.delay_us, form::Delay{kHourMs * 1000, "delay_ms"});
    field("load_delay_ms", model.load_delay_ms, form::Delay{kHourMs});
    field("reads_input", model.reads_input, form::Flag{});
    field("writes_input", model.writes_input, form::Flag{});
    field("faults", model.faults, form::Faults{1024});
  }
};

// ---- the table -----------------------------------------------------------------------------------------------------

/// One model of each kind, with the defaults of its fields.
const std::vector<ModelKind>& every_kind();

/// The one of them that is called so, or nothing.
std::optional<ModelKind> kind_called(std::string_view name);

/// The names of the kinds with facts that `counts` accepts.
std::vector<std::string> kinds_where(bool (*counts)(const KindFacts&));

inline KindFacts facts_of(const ModelKind& kind) {
  return std::visit([]<class Model>(const Model& model) { return Description<Model>::facts(model); }, kind);
}
inline std::string_view kind_name(const ModelKind& kind) { return facts_of(kind).name; }
/// "members of kind 'onnx' run on the CPU only"; empty: a GPU may compute them, too.
std::string why_only_on_cpu(const ModelKind& kind);

/// Calls field(key, value, form) for each field; `Kind` is ModelKind or const ModelKind, and so is the value.
template <class Kind, class Field>
void for_each_field(Kind& kind, Field&& field) {
  std::visit([&]<class Model>(Model& model) { Description<std::remove_const_t<Model>>::fields(model, field); }, kind);
}

/// The library that computes a network of Tutti; null for kinds of which no other could.
ComputedBy* backend_of(ModelKind& kind);
const ComputedBy* backend_of(const ModelKind& kind);

/// The layers of it that are computed; null for kinds that are not cut.
LayerRange* part_of(ModelKind& kind);
const LayerRange* part_of(const ModelKind& kind);

/// All keys that the kind has in YAML besides `kind`. They live as long as the program.
std::vector<std::string_view> keys_of(const ModelKind& kind);

/// What is wrong with fields that are right one by one, or nothing.
std::optional<Clash> clash_in(const ModelKind& kind);

/// The key that names a safetensors file, and whether the kind has it.
constexpr std::string_view kWeightsKey = "weights";
constexpr bool takes_weights(const KindFacts& facts) {
  return facts.weights != WeightsFrom::package && facts.weights != WeightsFrom::factory &&
         facts.weights != WeightsFrom::nothing;
}

/// Whether its predictions are there already: no model computes them, and no sample is read.
constexpr bool is_saved(const KindFacts& facts) { return facts.takes == Takes::nothing; }

/// Whether it is a program that the user brings, in which no weight is trainable.
constexpr bool holds_program(const KindFacts& facts) {
  return facts.weights == WeightsFrom::module || facts.weights == WeightsFrom::package ||
         facts.weights == WeightsFrom::factory;
}

/// Values that are alive at a time while the model computes one image: the input and the output of its widest layer,
/// and what is made ready for it. Nothing where the description does not tell.
std::optional<std::uint64_t> values_per_image(const ModelKind& kind, std::uint64_t seen);

/// How many weights the model has. Nothing where the description does not tell.
std::optional<std::uint64_t> parameters_of(const ModelKind& kind, std::uint64_t seen);

/// What the fields name: files, or a folder. The weights of a request are not among them.
struct NamedPath {
  std::string key;  ///< "model.path"
  std::string path;
};
std::vector<NamedPath> paths_of(const ModelKind& kind);

/// The outputs that are chosen of a model with several; none if its kind has no such choice.
std::vector<std::string> entries_of(const ModelKind& kind);

/// The field that names a folder; nullptr where the kind has none.
std::string* folder_of(ModelKind& kind);
const std::string* folder_of(const ModelKind& kind);

/// The files that count of what paths_of() names: of a folder, config.json and, where `weights` names no others, all
/// .safetensors, sorted; and more_files() of the kind. What is not there is left out.
std::vector<std::filesystem::path> files_of(const ModelKind& kind, const std::filesystem::path& weights);

}  // namespace tutti
