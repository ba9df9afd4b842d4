#include "program/quick_start.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/nearest.hpp"
#include "common/values.hpp"
#include "config/load.hpp"
#include "config/overrides.hpp"
#include "config/shorthand.hpp"
#include "config/tree.hpp"
#include "config/yaml.hpp"

namespace tutti::program {
namespace {

namespace fs = std::filesystem;
using config::Tree;

Tree list_of_members(const std::vector<fs::path>& files, const std::string& preprocess) {
  Tree list = Tree::list();
  for (const config::FileMember& member : config::members_for(files)) {
    Tree map = Tree::map();
    map.set("name", Tree::text(member.name));
    map.set("model", model_of(member));
    if (!preprocess.empty()) map.set("input", Tree::text(preprocess));
    list.items.push_back(std::move(map));
  }
  return list;
}

/// Throws Error(usage) with those that there are.
void check_word(std::string_view option, const std::string& word, const std::vector<std::string>& known) {
  if (word.empty() || std::ranges::find(known, word) != known.end()) return;
  const std::string near = nearest(word, known);
  throw Error(ErrorKind::usage, fmt::format("{} does not know '{}'", option, word),
              fmt::format("it takes {}", fmt::join(known, ", ")),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

/// A file that is named twice would be a member twice.
void refuse_twins(const std::vector<fs::path>& files) {
  std::error_code ignored;
  for (std::size_t i = 0; i < files.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (fs::equivalent(files[i], files[j], ignored))
        throw Error(ErrorKind::usage, fmt::format("'{}' is named twice", files[i].string()),
                    files[i] == files[j] ? "" : fmt::format("also as '{}'", files[j].string()),
                    "name every model once; to give one more say, write members.0.weight=2 with --rule weighted");
}

void check_images(const fs::path& images) {
  constexpr const char* kHint = "name a folder of pictures or an .npy file";
  if (images.empty())
    throw Error(ErrorKind::usage, "the models need images", {}, fmt::format("{}: --images photos", kHint));
  std::error_code ignored;
  if (!fs::exists(images, ignored))
    throw Error(ErrorKind::usage, fmt::format("--images: there is no '{}'", images.string()), {}, kHint);
  if (!fs::is_directory(images, ignored) && images.extension() != ".npy")
    throw Error(ErrorKind::usage, fmt::format("--images: '{}' is neither a folder nor an .npy file", images.string()),
                {}, kHint);
}

/// Writes the devices that --assign named into the description, next to those that it has.
void write_out_devices(Tree& root, const config::EnsembleSpec& spec) {
  Tree devices = Tree::map();
  for (const config::MemberSpec& member : spec.members) {
    const bool chosen = !std::holds_alternative<config::AutoDevice>(member.device);
    devices.set(member.name, chosen ? Tree::text(config::to_text(member.device)) : Tree::plain("auto"));
  }
  for (const char* key : {"assignment", "device_map"}) root.remove(key);
  if (Tree* combine = root.find("combine"); combine != nullptr) combine->remove("device_map");
  root.set("assignment", std::move(devices));
}

}  // namespace

bool is_model(const fs::path& file) {
  static constexpr std::array<std::string_view, 9> kEndings{".pt",  ".pt2",    ".ts", ".torchscript", ".onnx",
                                                            ".xml", ".tflite", ".pb", ".pdmodel"};
  return std::ranges::find(kEndings, file.extension().string()) != kEndings.end();
}

void refuse_folder_or_weights(const fs::path& file, bool takes_models) {
  static constexpr std::array<std::string_view, 7> kEndings{".pth", ".safetensors", ".ckpt", ".bin",
                                                            ".h5",  ".keras",       ".pkl"};
  std::error_code ignored;
  if (fs::is_directory(file, ignored)) {
    const std::string folder = (file / "").string();
    throw Error(ErrorKind::usage, fmt::format("'{}' is a folder", file.string()), {},
                fmt::format("{}tutti init {} photos writes a YAML file for the models in it",
                            takes_models ? fmt::format("name its models: {}*.pt; or ", folder) : "", folder));
  }
  const std::string ending = file.extension().string();
  if (std::ranges::find(kEndings, ending) == kEndings.end()) return;
  throw Error(ErrorKind::usage, fmt::format("'{}' is not a model that can be started", file.string()),
              fmt::format("files called *{} hold weights, without the network", ending),
              ending == ".safetensors" ? fmt::format("export the model: python -m tutti.export model (docs/export.md); "
                                                     "for a small-cnn or an mlp: tutti init {} photos",
                                                     file.string())
              : ending == ".pth" ? "export the model: python -m tutti.export model (docs/export.md); or rename the "
                                   "file to *.pt if it holds TorchScript"
                                 : "export the model: python -m tutti.export model (docs/export.md)");
}

std::vector<std::string> rule_names() {
  std::vector<std::string> names;
  for (const auto& entry : enum_names(CombineRule{})) names.emplace_back(entry.name);
  return names;
}

bool names_models(const CommandLine& line) { return is_model(line.file); }

Tree model_of(const config::FileMember& member) {
  Tree model = Tree::map();
  model.set("kind", Tree::plain(std::string(member.kind)));
  model.set(member.key, Tree::text(member.file.string()));
  return model;
}

Tree input_of(const fs::path& images) {
  const bool array = images.extension() == ".npy";
  Tree input = Tree::map();
  input.set("dataset", Tree::plain(array ? "npy" : "folder"));
  input.set(array ? "images" : "path", Tree::text(images.string()));
  return input;
}

Tree combine_by(const std::string& rule) {
  Tree combine = Tree::map();
  combine.set("rule", Tree::text(rule));
  return combine;
}

void check_words(const CommandLine& line) {
  check_word("--preprocess", line.preprocess, config::preset_names());
  check_word("--rule", line.rule, rule_names());
}

std::string description_of_models(CommandLine& line) {
  std::vector<fs::path> files{line.file};
  const auto is_override = [](const std::string& word) { return word.find('=') != word.npos; };
  for (const std::string& word : line.overrides)
    if (!is_override(word)) files.emplace_back(word);
  std::erase_if(line.overrides, [&](const std::string& word) { return !is_override(word); });
  std::error_code ignored;
  for (const fs::path& file : files) {
    if (line.images.empty() && fs::is_directory(file, ignored))
      throw Error(ErrorKind::usage, fmt::format("'{}' is a folder", file.string()), {},
                  fmt::format("if it holds the pictures, name it with --images {0}; models by their files: {1}*.pt",
                              file.string(), (file / "").string()));
    refuse_folder_or_weights(file, true);
    if (!is_model(file))
      throw Error(ErrorKind::usage, fmt::format("'{}' is not the file of a model", file.string()),
                  "models are called *.pt, *.pt2, *.onnx, *.xml, *.tflite, *.pb or *.pdmodel",
                  "for other models, write a description (docs/configuration.md), or let 'glob' find them in one");
  }
  for (const fs::path& file : files)
    if (!fs::exists(file, ignored))
      throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", file.string()), {},
                  "name the files of models, such as models/*.pt without quotes");
  refuse_twins(files);
  check_images(line.images);
  check_words(line);
  Tree root = Tree::map();
  root.set("members", list_of_members(files, line.preprocess));
  root.set("input", input_of(line.images));
  if (!line.rule.empty()) root.set("combine", combine_by(line.rule));
  // Read with what the command line adds, so that its mistakes are where the user wrote them.
  const config::EnsembleSpec spec =
      config::load_text(config::emit_yaml(root), kDescriptionOfModels, {line.overrides, line.assign});
  // What is saved must be what runs.
  config::Violations none;
  config::apply_overrides(root, std::exchange(line.overrides, {}), none);
  if (!std::exchange(line.assign, {}).empty()) write_out_devices(root, spec);
  return config::emit_yaml(root);
}

void refuse_existing(const fs::path& file, const std::string& hint) {
  std::error_code ignored;
  if (fs::exists(file, ignored))
    throw Error(ErrorKind::usage, fmt::format("{} exists already", file.string()), {}, hint);
}

void check_writable(const fs::path& file) {
  std::error_code ignored;
  if (fs::is_directory(file, ignored))
    throw Error(ErrorKind::usage, fmt::format("cannot write {}", file.string()), "it is a folder", "name a file in it");
  const AtomicFile possible(file);  // has no name, so nothing is left of it
}

void check_save(const fs::path& file) {
  refuse_existing(file, "remove it first, or name another file with --save");
  check_writable(file);
}

void save_description(const std::string& yaml, const fs::path& file) {
  check_save(file);
  AtomicFile out(file);
  out.write(yaml);
  out.commit();
}

void refuse_models(const fs::path& file, const std::string& command) {
  refuse_folder_or_weights(file, false);
  if (is_model(file))
    throw Error(ErrorKind::usage,
                fmt::format("'tutti {}' takes a YAML file, and '{}' is a model", command, file.string()), {},
                fmt::format("write one first: tutti validate {} --images photos --save ensemble.yaml", file.string()));
}

void refuse_options_of_models(const CommandLine& line) {
  const std::string ending = line.file.extension().string();
  const bool description = ending == ".yaml" || ending == ".yml";
  const std::array<std::pair<const char*, bool>, 4> options{{{"--images", !line.images.empty()},
                                                             {"--preprocess", !line.preprocess.empty()},
                                                             {"--rule", !line.rule.empty()},
                                                             {"--save", !line.save.empty() && !line.measure}}};
  for (const auto& [name, given] : options)
    if (given)
      throw Error(ErrorKind::usage, fmt::format("{} is for models that the command line names", name),
                  description ? fmt::format("'{}' is a description, which says it itself", line.file.string())
                              : fmt::format("'{}' is not the file of a model: they are called *.pt, *.pt2, *.onnx, "
                                            "*.xml, *.tflite, *.pb or *.pdmodel",
                                            line.file.string()),
                  description ? "change a key of it: input.path=photos, combine.rule=vote" : "");
}

}  // namespace tutti::program
