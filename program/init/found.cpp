#include "program/init/found.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "config/classes.hpp"
#include "config/effective_input.hpp"
#include "config/processor.hpp"
#include "config/shorthand.hpp"
#include "images/folder_listing.hpp"
#include "merge/checkpoint.hpp"
#include "merge/clip_config.hpp"
#include "program/init/array_of_images.hpp"
#include "program/quick_start.hpp"

namespace tutti::program {
namespace {

namespace fs = std::filesystem;
using config::Tree;

/// What is in a folder, sorted by name; names that begin with a dot are passed over.
std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (!entry->path().filename().string().starts_with('.')) files.push_back(entry->path());
  if (code)
    throw Error(ErrorKind::usage, fmt::format("cannot read the folder {}", folder.string()), code.message(),
                "check its permissions");
  std::ranges::sort(files);
  return files;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool has_config(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "config.json", ignored);
}

bool holds_weights(const fs::path& file) { return file.extension() == ".safetensors"; }

/// Of TensorFlow.
bool is_saved_model(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "saved_model.pb", ignored);
}

/// Files of other things end in .xml, too; OpenVINO's have their weights next to them.
bool is_other_xml(const fs::path& file) {
  std::error_code ignored;
  return file.extension() == ".xml" && !fs::exists(fs::path(file).replace_extension(".bin"), ignored);
}

bool may_be_model(const fs::path& file) {
  if (is_folder(file)) return has_config(file) || is_saved_model(file);
  return (is_model(file) && !is_other_xml(file)) || holds_weights(file);
}

/// Of a folder; if it has none itself, of its folders.
std::vector<fs::path> models_in(const fs::path& folder) {
  if (is_saved_model(folder)) return {folder};
  if (has_config(folder)) {
    std::error_code ignored;
    // The files of an exporter may have their configuration next to them.
    if (fs::exists(folder / "model.safetensors", ignored) ||
        fs::exists(folder / "model.safetensors.index.json", ignored))
      return {folder};
  }
  std::vector<fs::path> models;
  const std::vector<fs::path> files = files_in(folder);
  std::ranges::copy_if(files, std::back_inserter(models), may_be_model);
  if (!models.empty()) return models;
  if (has_config(folder)) return {folder};
  for (const fs::path& inner : files)
    if (is_folder(inner)) std::ranges::copy_if(files_in(inner), std::back_inserter(models), may_be_model);
  return models;
}

/// The side of square pictures of three channels that have so many values; 0 if there is none.
std::uint32_t side_of(std::int64_t values) {
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(values) / 3)));
  return side * side * 3 == values ? static_cast<std::uint32_t>(side) : 0;
}

/// A `small-cnn` or an `mlp` by the names and shapes of its weights; nothing if they are of another network.
std::optional<FoundModel> native_model(const fs::path& file) {
  const merge::Checkpoint weights = merge::Checkpoint::open(file);
  Tree model = Tree::map();
  Tree layers = Tree::list();
  std::uint32_t side = 0;
  std::size_t dense = 0;
  for (std::string name = "fc1.weight"; weights.contains(name); name = fmt::format("fc{}.weight", dense + 1)) {
    const std::vector<std::int64_t>& shape = weights.form(name).shape;
    if (shape.size() != 2) return std::nullopt;
    if (dense == 0) side = side_of(shape[1]);
    layers.items.push_back(Tree::plain(std::to_string(shape[0])));
    ++dense;
  }
  const bool cnn = weights.contains("conv3.weight") && dense == 2 && weights.names().size() == 10;
  if (dense == 0 || (!cnn && weights.names().size() != 2 * dense)) return std::nullopt;
  model.set("kind", Tree::plain(cnn ? "small-cnn" : "mlp"));
  if (cnn)
    model.set("classes", layers.items.back());
  else
    model.set("layers", std::move(layers));
  model.set("weights", Tree::text(file.string()));
  return FoundModel{.name = {}, .file = file, .model = std::move(model), .side = cnn ? 32U : side};
}

/// How models want their images, as the folder says in which they are, or a folder that is called as they are.
class Processors {
 public:
  explicit Processors(std::vector<std::string>& problems) : problems_(problems) {}

  std::optional<Tree> next_to(const fs::path& file) {
    const auto own = in(file.parent_path() / file.stem());
    return own ? own : in(file.parent_path());
  }

 private:
  std::optional<Tree> in(const fs::path& folder) {
    const auto [known, first] = known_.try_emplace(folder);
    if (!first) return known->second;
    try {
      if (const auto input = config::processor_input(folder, config::ProcessorClasses::plain))
        known->second = config::input_tree(*input);
    } catch (const Error& error) {
      problems_.push_back(
          fmt::format("The image processor could not be used. {}: {}.", error.message(), error.detail()));
    }
    return known->second;
  }

  std::map<fs::path, std::optional<Tree>> known_;
  std::vector<std::string>& problems_;
};

/// Nothing, and a sentence in `problems`, if the file cannot be a member.
std::optional<FoundModel> model_in(const config::FileMember& member, Processors& processors,
                                   std::vector<std::string>& problems) {
  const fs::path& file = member.file;
  try {
    if (holds_weights(file)) {
      auto native = native_model(file);
      if (!native)
        problems.push_back(
            fmt::format("'{}' is left out: it has weights only, and not those of a small-cnn or an mlp. "
                        "Export the model as .pt: python -m tutti.export model",
                        file.string()));
      else
        native->name = member.name;
      return native;
    }
    FoundModel found{.name = member.name, .file = file, .model = model_of(member)};
    if (is_folder(file) && !is_saved_model(file)) {
      const merge::ClipConfig config = merge::read_clip_config(file);
      found.prepares_itself = config::processor_input(file).has_value();
      found.side = static_cast<std::uint32_t>(config.image);
    } else {
      found.input = processors.next_to(file);
    }
    return found;
  } catch (const Error& error) {
    problems.push_back(fmt::format("'{}' is left out. {}: {}", file.string(), error.message(), error.detail()));
    return std::nullopt;
  }
}

/// CLIP's towers output features, and other models classes: they cannot be combined.
void leave_out_towers(Found& found) {
  if (std::ranges::all_of(found.models, &FoundModel::is_tower)) return;
  for (const FoundModel& model : found.models)
    if (model.is_tower())
      found.problems.push_back(
          fmt::format("'{}' is left out: the tower of CLIP outputs features, which cannot be combined with the outputs "
                      "of the others. With a head it outputs logits: add 'output: logits' and 'head' to its model.",
                      model.file.string()));
  std::erase_if(found.models, [](const FoundModel& model) { return model.is_tower(); });
}

std::vector<std::string> quoted_paths(const std::vector<fs::path>& paths) {
  std::vector<std::string> texts;
  for (const fs::path& path : paths) texts.push_back(path.string());
  return texts;
}

FoundImages pictures_in(const fs::path& folder) {
  const images::Listing listing = images::list_images(folder);
  FoundImages found{.place = folder, .input = input_of(folder), .summary = {}};
  found.pictures = true;
  found.classes = listing.classes;
  found.remarks = listing.remarks;
  found.summary = counted(listing.files.size(), "picture");
  if (!listing.classes.empty()) found.summary += " in " + counted(listing.classes.size(), "folder");
  return found;
}

/// The arrays of a folder that may be images: not the labels of others.
std::vector<fs::path> arrays_in(const fs::path& folder) {
  std::vector<fs::path> arrays;
  for (const fs::path& file : files_in(folder))
    if (file.extension() == ".npy" && !is_array_of_labels(file)) arrays.push_back(file);
  return arrays;
}

FoundImages images_in(const fs::path& place) {
  if (!is_folder(place)) return array_of_images(place);
  const std::vector<fs::path> arrays = arrays_in(place);
  if (arrays.empty()) return pictures_in(place);
  if (arrays.size() == 1) return array_of_images(arrays.front());
  throw Error(ErrorKind::usage, fmt::format("'{}' has several arrays", place.string()),
              fmt::format("{}", fmt::join(quoted_paths(arrays), ", ")), "name the one with the images");
}

/// A file with the names of classes, next to the images or to the models.
fs::path file_of_classes(const Found& found) {
  static constexpr std::array<std::string_view, 6> kNames{"classes.txt",  "class_names.txt",  "labels.txt",
                                                          "classes.json", "class_names.json", "config.json"};
  std::vector<fs::path> folders{is_folder(found.images.place) ? found.images.place : found.images.place.parent_path()};
  for (const FoundModel& model : found.models)
    if (!is_folder(model.file)) folders.push_back(model.file.parent_path());
  std::error_code ignored;
  for (const fs::path& folder : folders)
    for (const std::string_view name : kNames) {
      const fs::path file = folder / name;
      if (!fs::exists(file, ignored)) continue;
      if (!class_names_in(file).empty()) return file;
    }
  return {};
}

/// Without what makes two spellings of one path differ: "models/" has no name, "models" has one.
fs::path plain(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

}  // namespace

std::vector<std::string> class_names_in(const fs::path& file) {
  config::Violations ignored;  // a file that holds something else does not count
  return config::read_class_names(Tree::text(file.string()), ignored);
}

Found look_at(const std::vector<fs::path>& places) {
  Found found;
  std::vector<fs::path> models;
  std::vector<fs::path> images;
  for (const fs::path& written : places) {
    const fs::path place = plain(written);
    std::error_code ignored;
    if (!fs::exists(place, ignored))
      throw Error(ErrorKind::usage, fmt::format("there is no '{}'", place.string()), {},
                  "name folders or files of models, and a folder of pictures: tutti init models photos");
    const std::vector<fs::path> here = is_folder(place) ? models_in(place) : std::vector<fs::path>{place};
    const bool all_models = !here.empty() && std::ranges::all_of(here, may_be_model);
    if (all_models)
      models.insert(models.end(), here.begin(), here.end());
    else if (is_folder(place) || place.extension() == ".npy")
      images.push_back(place);
    else
      throw Error(ErrorKind::usage, fmt::format("'{}' is neither a model nor images", place.string()),
                  "models are called *.pt, *.pt2, *.onnx, *.xml, *.tflite, *.pb, *.pdmodel or *.safetensors; images "
                  "are a folder of pictures or an .npy file",
                  "leave it out; for other data, write the description by hand (docs/configuration.md)");
  }
  if (images.empty())
    throw Error(ErrorKind::usage, "there are no images", {},
                "also name a folder of pictures or an .npy file: tutti init models photos");
  if (images.size() > 1)
    throw Error(ErrorKind::usage, "there are several sets of images",
                fmt::format("{}: no models are in them", fmt::join(quoted_paths(images), ", ")),
                "name one set of images");
  found.images = images_in(images.front());
  Processors processors(found.problems);
  for (const config::FileMember& member : config::members_for(models))
    if (auto model = model_in(member, processors, found.problems)) found.models.push_back(std::move(*model));
  leave_out_towers(found);
  if (found.models.empty())
    throw Error(ErrorKind::usage, "there are no models", fmt::format("{}", fmt::join(found.problems, " ")),
                "models are called *.pt, *.pt2, *.onnx, *.xml, *.tflite, *.pb, *.pdmodel or *.safetensors, or are "
                "folders of CLIP or of TensorFlow: tutti init models photos");
  found.class_file = file_of_classes(found);
  return found;
}

}  // namespace tutti::program
