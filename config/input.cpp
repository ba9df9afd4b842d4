#include "config/input.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "common/array_path.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "config/input_labels.hpp"
#include "config/input_pictures.hpp"
#include "config/input_tensors.hpp"
#include "config/members.hpp"
#include "config/reader.hpp"
#include "config/tiles.hpp"

namespace tutti::config {
namespace {

/// Which data sets take which key; a key that belongs to another data set gets its own message instead of "unknown
/// key".
struct KeyOfDatasets {
  std::string_view key;
  std::vector<Dataset> datasets;
};

const std::vector<KeyOfDatasets>& keys_of_datasets() {
  using enum Dataset;
  static const std::vector<KeyOfDatasets> rows = [] {
    std::vector<KeyOfDatasets> all{
        {"split", {digits, cifar10}},
        {"path", {cifar10, folder}},
        {"images", {npy}},
        {"inputs", {npy, random, memory}},
        {"labels", {npy, folder}},
        {"ignore_index", {npy, folder}},
        {"layout", {npy}},
        {"count", {random}},
        {"classes", {npy, folder, random}},
        {"seed", {random}},
        {"shape", {random, memory}},
        {"skip", {digits, cifar10, npy, folder, random}},
        {"limit", {digits, cifar10, npy, folder, random}},
        {"orientation", {folder, memory}},
        {"on_broken", {folder}},
        {"decode_threads", {folder, memory}},
        {"jpeg_scaling", {folder, memory}},
        {"tiles", {npy, folder, memory}},
    };
    for (const std::string_view key : kResizeKeys) all.push_back({key, {folder, memory}});
    return all;
  }();
  return rows;
}

void refuse_keys_of_other_datasets(Fields& fields, Dataset dataset) {
  for (const auto& [key, datasets] : keys_of_datasets()) {
    if (std::find(datasets.begin(), datasets.end(), dataset) != datasets.end()) continue;
    std::vector<std::string> owners;
    for (const Dataset owner : datasets)
      if (owner != Dataset::memory) owners.emplace_back(to_name(owner));
    const std::string present = dataset == Dataset::memory ? "images from memory (there is no 'dataset')"
                                                           : fmt::format("dataset {}", to_name(dataset));
    fields.refuse(key, fmt::format("'{}' belongs to dataset {}, not to {}", key, one_of(owners), present));
  }
}

void read_shape(Fields& fields, ImageShape& shape, Violations& violations) {
  const Tree* tree = fields.find("shape");
  if (tree == nullptr) return;
  if (tree->kind != Tree::Kind::list || tree->items.size() != 3) {
    violations.add(tree->position,
                   fmt::format("'shape' must be [channels, height, width], not {}",
                               tree->kind == Tree::Kind::list ? fmt::format("a list of {}", tree->items.size())
                                                              : describe(*tree)));
    return;
  }
  std::array<std::uint32_t, 3> sizes{};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto size = read_whole(tree->items[i], "each item of 'shape'", 1, 65536, violations);
    if (!size) return;
    sizes[i] = static_cast<std::uint32_t>(*size);
  }
  const ImageShape read{sizes[0], sizes[1], sizes[2]};
  if (read.elements() > kMaxImageElements)
    violations.add(tree->position, fmt::format("'shape' {} is {} values per image, more than {}", read.text(),
                                               read.elements(), kMaxImageElements));
  else
    shape = read;
}

// Checked in float32, which the images are computed in: no value may become infinite or zero.
constexpr NumberRule kPositiveFloat{"a number above 0 that fits float32", [](double value) {
                                      const float narrow = static_cast<float>(value);
                                      return std::isnormal(narrow) && narrow > 0;
                                    }};

void read_preprocess(Fields& fields, const InputSpec& input, Preprocess& preprocess, Violations& violations) {
  const Tree* tree = fields.find("preprocess");
  if (tree == nullptr) return;
  Fields inner(*tree, "'preprocess'", violations);
  preprocess.mean = read_channels(inner, "mean", false, violations);
  preprocess.std = read_channels(inner, "std", true, violations);
  inner.finish();
  const auto check = [&](std::string_view key, std::size_t count) {
    const auto shape = known_shape(input);
    if (count > 1 && shape && count != shape->channels)
      violations.add(inner.position_of(key), fmt::format("'{}' has {}, but an image has {}", key,
                                                         counted(count, "value"), counted(shape->channels, "channel")));
  };
  check("mean", preprocess.mean.size());
  check("std", preprocess.std.size());
}

/// The samples have the shape of a tile and the channels of the inputs, which may come in any size.
void read_tiles_of_memory(Fields& fields, bool of_images, InputSpec& input, Violations& violations) {
  if (fields.find("tiles") == nullptr) return;
  if (!of_images && input.tensors.size() != 1)
    return fields.refuse("inputs", "'tiles' are cut from one tensor; write 'inputs: {x: {shape: [1, 64, 64]}}'");
  Dims dims = of_images ? input.shape.layout().dims : input.tensors.front().layout.dims;
  if (dims.size() < 2 || dims.size() > 1 + kMaxTiledAxes)
    return fields.refuse("inputs", fmt::format("'tiles' are cut along 1 to {} axes after the channels, and the tensor "
                                               "has {}",
                                               kMaxTiledAxes, counted(dims.size(), "axis")));
  input.tiles = read_tiles(fields, dims.size() - 1, violations);
  if (!input.tiles) return;
  for (std::size_t axis = 1; axis < dims.size(); ++axis)
    dims[axis] = input.tiles->size.size() == 1 ? input.tiles->size.front() : input.tiles->size[axis - 1];
  if (of_images)
    input.shape = {dims[0], dims[1], dims[2]};
  else
    input.tensors.front().layout.dims = std::move(dims);
}

/// Samples that come through the API: arrays of one shape, or with `resize` encoded pictures of any size.
void read_memory(Fields& fields, bool of_images, InputSpec& input, Violations& violations) {
  if (of_images && fields.find("resize") != nullptr) {
    fields.refuse("shape", "'resize' makes the shape of encoded pictures; leave 'shape' out");
    fields.refuse("tiles",
                  "'tiles' are cut from images as they are, and 'resize' is for encoded pictures; leave one of "
                  "them out");
    fields.choice("orientation", input.orientation);
    return read_decoding(fields, input, std::nullopt, violations);
  }
  const auto refuse = [&](std::string_view key) {
    fields.refuse(key, of_images
                           ? fmt::format("'{}' is for encoded pictures that come through the API, and these need "
                                         "a 'resize'; add it or remove '{}'",
                                         key, key)
                           : fmt::format("'{}' is for pictures, and 'inputs' are tensors; leave one of them out", key));
  };
  std::ranges::for_each(kResizeKeys, refuse);
  for (const char* key : {"orientation", "decode_threads", "jpeg_scaling"}) refuse(key);
  if (of_images) read_shape(fields, input.shape, violations);
  read_tiles_of_memory(fields, of_images, input, violations);
}

void read_tiles_of_arrays(Fields& fields, bool of_images, InputSpec& input, Violations& violations) {
  if (fields.find("tiles") == nullptr) return;
  if (!of_images && input.tensors.size() == 1 &&
      format_of_array(array_path(input.tensors.front().file).file) == ArrayFormat::csv)
    fields.refuse("inputs",
                  "'tiles' are cut along axes after the channels, and a table has rows of numbers; leave one "
                  "of them out");
  if (!of_images && (input.tensors.size() != 1 || input.tensors.front().name.empty()))
    fields.refuse("inputs", "'tiles' are cut from one tensor; write 'inputs: {image: x.npy}'");
  // Tensors may have 1 to 3 axes that tiles are cut along; only the file tells.
  input.tiles = read_tiles(fields, of_images ? std::optional<std::size_t>(2) : std::nullopt, violations);
}

void read_of_dataset(Fields& fields, bool of_images, InputSpec& input, Violations& violations) {
  switch (input.dataset) {
    case Dataset::digits:
      fields.choice("split", input.split);
      break;
    case Dataset::cifar10:
      fields.choice("split", input.split);
      fields.require("path", "the folder with the files of the binary version");
      fields.path("path", input.path);
      break;
    case Dataset::npy:
      read_labels(fields, input, violations);
      read_tiles_of_arrays(fields, of_images, input, violations);
      if (!of_images) break;
      fields.require("images", "a .npy file, or 'inputs', a file for each tensor");
      fields.path("images", input.images);
      fields.choice("layout", input.layout);
      break;
    case Dataset::folder:
      read_folder(fields, input, violations);
      break;
    case Dataset::random:
      fields.require("count", "a number of images");
      fields.whole("count", input.count, 0);
      fields.whole("seed", input.seed, 0);
      if (of_images) read_shape(fields, input.shape, violations);
      break;
    case Dataset::memory:
      read_memory(fields, of_images, input, violations);
      break;
  }
}

/// Whether the samples of this data set may be tensors.
bool takes_tensors(Dataset dataset) {
  return dataset == Dataset::npy || dataset == Dataset::random || dataset == Dataset::memory;
}

void read_limit(Fields& fields, std::optional<std::uint64_t>& limit) {
  if (fields.find("limit") == nullptr) return;
  limit = 0;
  fields.whole("limit", *limit, 0);
}

}  // namespace

std::vector<float> read_channels(Fields& fields, std::string_view key, bool positive, Violations& violations) {
  const Tree* tree = fields.find(key);
  if (tree == nullptr) return {};
  if (tree->kind == Tree::Kind::list && tree->items.empty()) {
    violations.add(tree->position,
                   fmt::format("'{}' must be a number or a list with one for each channel, not an empty "
                               "list",
                               key));
    return {};
  }
  const std::string what =
      tree->kind == Tree::Kind::list ? fmt::format("each item of '{}'", key) : fmt::format("'{}'", key);
  std::vector<float> values;
  for (const Tree& item : tree->kind == Tree::Kind::list ? tree->items : std::vector<Tree>{*tree}) {
    const auto value = read_number(item, what, positive ? kPositiveFloat : kFloat, violations);
    if (!value) return {};
    values.push_back(static_cast<float>(*value));
  }
  return values;
}

InputSpec read_input(const Tree& tree, Split split, Violations& violations) {
  InputSpec input;
  input.split = split;
  Fields fields(tree, "'input'", violations);
  const std::size_t before = violations.count();
  fields.choice("dataset", input.dataset);
  if (violations.count() != before || tree.kind != Tree::Kind::map)
    return input;  // without the dataset no key can be checked
  if (input.dataset != Dataset::digits && input.dataset != Dataset::cifar10) input.split = InputSpec().split;
  const bool of_images = !takes_tensors(input.dataset) || fields.find("inputs") == nullptr;
  if (!of_images) input.tensors = read_input_tensors(fields, input.dataset, violations);
  read_of_dataset(fields, of_images, input, violations);
  if (input.dataset == Dataset::npy || input.dataset == Dataset::random)
    fields.whole("classes", input.classes, 1, kMaxModelWidth);
  if (input.dataset != Dataset::memory) fields.whole("skip", input.skip, 0);
  if (input.dataset != Dataset::memory) read_limit(fields, input.limit);
  if (of_images) read_preprocess(fields, input, input.preprocess, violations);
  refuse_keys_of_other_datasets(fields, input.dataset);
  fields.finish();
  return input;
}

namespace {

/// A word, or a list of words.
std::vector<std::string> read_prepares(const Tree& tree, Violations& violations) {
  std::vector<std::string> names;
  for (const Tree& item : tree.kind == Tree::Kind::list ? tree.items : std::vector<Tree>{tree}) {
    if (item.kind == Tree::Kind::scalar && !item.scalar.empty()) {
      names.push_back(item.scalar);
      continue;
    }
    violations.add(item.position, fmt::format("'tensors' must name an image that the member takes, or a list of them, "
                                              "not {}",
                                              describe(item)));
    return {};
  }
  if (names.empty()) violations.add(tree.position, "'tensors' must name an image that the member takes");
  return names;
}

}  // namespace

MemberInput read_member_input(const Tree& tree, std::vector<std::string>& prepares, Violations& violations) {
  MemberInput input;
  Fields fields(tree, "'input' of a member", violations);
  if (tree.kind != Tree::Kind::map) return input;
  if (const Tree* tensors = fields.find("tensors"); tensors != nullptr) prepares = read_prepares(*tensors, violations);
  read_resize(fields, input.resize, std::nullopt, violations);
  input.mean = read_channels(fields, "mean", false, violations);
  input.std = read_channels(fields, "std", true, violations);
  fields.finish();
  return input;
}

std::optional<ImageShape> known_shape(const InputSpec& input) {
  if (input.dataset == Dataset::npy || !input.tensors.empty()) return std::nullopt;
  if (input.dataset == Dataset::digits || input.dataset == Dataset::cifar10) return ImageShape{3, 32, 32};
  return input.shape;
}

bool resizes_pictures(const InputSpec& input) {
  const bool encoded = input.dataset == Dataset::memory && input.resize.rule != ResizeRule::none;
  return encoded || (input.dataset == Dataset::folder && !input.tiles);
}

bool is_prepared(const InputSpec& input) { return input.dataset == Dataset::memory && !resizes_pictures(input); }

void refuse_tiles(const InputSpec& input, const SourcePosition& position, std::string_view what,
                  Violations& violations) {
  if (input.tiles)
    violations.add(position,
                   fmt::format("{} cannot be 'tiles', which only 'tutti run' and the API put together again; leave "
                               "'tiles' out",
                               what));
}

std::optional<std::vector<std::string>> known_names(const InputSpec& input) {
  if (input.tensors.empty()) return std::vector<std::string>{kImageTensor};
  std::vector<std::string> names;
  for (const InputTensor& tensor : input.tensors) {
    if (tensor.name.empty()) return std::nullopt;
    names.push_back(tensor.name);
  }
  return names;
}

std::optional<std::vector<NamedLayout>> known_tensors(const InputSpec& input) {
  if (input.tensors.empty() || input.dataset == Dataset::npy) return std::nullopt;
  std::vector<NamedLayout> tensors;
  for (const InputTensor& tensor : input.tensors) tensors.push_back({tensor.name, tensor.layout});
  return tensors;
}

std::vector<std::filesystem::path> array_files(const InputSpec& input) {
  std::vector<std::filesystem::path> files;
  const auto add = [&](const std::filesystem::path& written) {
    if (!written.empty()) files.push_back(array_path(written).file);
  };
  add(input.images);
  for (const InputTensor& tensor : input.tensors) add(tensor.file);
  if (input.dataset == Dataset::npy) add(input.labels);
  return files;
}

std::uint32_t known_classes(const InputSpec& input) {
  const bool has_ten = input.dataset == Dataset::digits || input.dataset == Dataset::cifar10;
  return has_ten ? 10 : input.classes;
}

std::vector<std::filesystem::path> files_of_inputs(const EnsembleSpec& spec) {
  std::vector<std::filesystem::path> files;
  const auto add = [&](const InputSpec& input) {
    for (std::filesystem::path& file : array_files(input)) files.push_back(std::move(file));
    if (input.dataset != Dataset::folder) return;
    files.push_back(input.path);
    if (!input.labels.empty()) files.push_back(input.labels);
  };
  add(spec.input);
  add(spec.train_input);
  for (const TaskSpec& task : spec.tasks) {
    add(task.input);
    if (task.held_out) add(*task.held_out);
  }
  if (spec.merge && spec.merge->input) add(*spec.merge->input);
  return files;
}

}  // namespace tutti::config
