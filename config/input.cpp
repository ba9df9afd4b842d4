#include "config/input.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "common/array_path.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "config/input_labels.hpp"
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
  static const std::vector<KeyOfDatasets> rows{
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
      {"resize", {folder}},
      {"rule", {folder}},
      {"crop", {folder}},
      {"interpolation", {folder}},
      {"crop_rounding", {folder}},
      {"orientation", {folder}},
      {"on_broken", {folder}},
      {"decode_threads", {folder}},
      {"jpeg_scaling", {folder}},
      {"tiles", {npy, folder}},
  };
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

/// One number for all channels, or one for each.
std::vector<float> read_channels(Fields& fields, std::string_view key, const NumberRule& rule, Violations& violations) {
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
    const auto value = read_number(item, what, rule, violations);
    if (!value) return {};
    values.push_back(static_cast<float>(*value));
  }
  return values;
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
  preprocess.mean = read_channels(inner, "mean", kFloat, violations);
  preprocess.std = read_channels(inner, "std", kPositiveFloat, violations);
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

// ---- sizes ---------------------------------------------------------------------------------------------------------

void read_rule(Fields& fields, const Size& size, Resize& resize, Violations& violations) {
  const std::array words{std::string(to_name(ResizeRule::shorter)), std::string(to_name(ResizeRule::exact))};
  const auto word = fields.one_of_words("rule", words);
  resize.rule = size.one_number ? ResizeRule::shorter : ResizeRule::exact;
  if (word) resize.rule = *from_name<ResizeRule>(*word);
  if (resize.rule == ResizeRule::shorter && !size.one_number)
    violations.add(fields.position_of("rule"), "rule shorter takes one number as 'resize', not [height, width]");
}

void check_crop(Fields& fields, const Resize& resize, Violations& violations) {
  if (resize.rule == ResizeRule::none || resize.crop_height == 0) return;
  if (resize.crop_height <= resize.height && resize.crop_width <= resize.width) return;
  violations.add(
      fields.position_of("crop"),
      fmt::format("'crop' {}x{} is larger than what 'resize' makes ({}); the rest would be black", resize.crop_height,
                  resize.crop_width,
                  resize.rule == ResizeRule::exact ? fmt::format("{}x{}", resize.height, resize.width)
                                                   : fmt::format("{} along the shorter side", resize.height)));
}

/// The keys resize, rule, crop, interpolation and crop_rounding; `size` is used if the map has no resize.
void read_resize(Fields& fields, Resize& resize, std::optional<Size> size, Violations& violations) {
  const std::size_t before = violations.count();
  if (const auto read = read_size(fields, "resize", violations)) size = read;
  if (size) {
    resize.height = size->height;
    resize.width = size->width;
    read_rule(fields, *size, resize, violations);
    fields.choice("interpolation", resize.interpolation);
  } else if (violations.count() == before) {
    for (const std::string_view key : {"rule", "interpolation"})
      fields.refuse(key,
                    fmt::format("'{0}' says how to resize, but there is no 'resize'; add it or remove '{0}'", key));
  }
  if (const auto crop = read_size(fields, "crop", violations)) {
    resize.crop_height = crop->height;
    resize.crop_width = crop->width;
  }
  // A shorter side is cropped to its square if the images are decoded.
  if (resize.crop_height != 0 || resize.rule == ResizeRule::shorter)
    fields.choice("crop_rounding", resize.crop_rounding);
  else if (violations.count() == before)
    fields.refuse("crop_rounding", "'crop_rounding' says how the place of 'crop' is rounded, which is missing");
  if (violations.count() == before) check_crop(fields, resize, violations);
}

/// Each picture is cut as it is.
void read_tiled_folder(Fields& fields, InputSpec& input, Violations& violations) {
  for (const std::string_view key : {"resize", "rule", "crop", "interpolation", "crop_rounding", "jpeg_scaling"})
    fields.refuse(key, fmt::format("'{}' changes the size of pictures, and 'tiles' are cut from pictures as they are; "
                                   "leave one of them out",
                                   key));
  fields.refuse("decode_threads",
                "'decode_threads' is for pictures that are resized; with 'tiles' one is decoded at a time");
  input.tiles = read_tiles(fields, 2, violations);
  if (input.tiles) input.shape = {3, input.tiles->size.front(), input.tiles->size.back()};
}

/// Images in a folder differ in size, and images in the arena do not: what does not fit exactly is cropped.
void read_folder(Fields& fields, InputSpec& input, Violations& violations) {
  fields.require("path", "the folder with the images, or with one folder of images for each class");
  fields.path("path", input.path);
  fields.choice("on_broken", input.on_broken);
  fields.choice("orientation", input.orientation);
  read_labels(fields, input, violations);
  if (fields.find("tiles") != nullptr) return read_tiled_folder(fields, input, violations);
  fields.whole("decode_threads", input.decode_threads, 1, kMaxDecodeThreads);
  fields.boolean("jpeg_scaling", input.jpeg_scaling);
  const std::size_t before = violations.count();
  read_resize(fields, input.resize, Size{kFolderSide, kFolderSide, true}, violations);
  if (violations.count() != before) return;
  input.resize = resize_of_picture({}, input.resize);
  const ImageShape shape = fixed_shape(input.resize);
  if (shape.elements() > kMaxImageElements)
    violations.add(fields.position_of("resize"), fmt::format("images of {} are {} values each, more than {}",
                                                             shape.text(), shape.elements(), kMaxImageElements));
  else
    input.shape = shape;
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
      if (of_images) read_shape(fields, input.shape, violations);
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

std::optional<Size> read_size(Fields& fields, std::string_view key, Violations& violations) {
  const Tree* tree = fields.find(key);
  if (tree == nullptr) return std::nullopt;
  const bool list = tree->kind == Tree::Kind::list;
  if (list ? tree->items.size() != 2 : tree->kind != Tree::Kind::scalar) {
    violations.add(tree->position,
                   fmt::format("'{}' must be a number or [height, width], not {}", key,
                               list ? fmt::format("a list of {}", tree->items.size()) : describe(*tree)));
    return std::nullopt;
  }
  const std::string what = list ? fmt::format("each item of '{}'", key) : fmt::format("'{}'", key);
  const auto first = read_whole(list ? tree->items[0] : *tree, what, 1, kMaxImageSide, violations);
  const auto second = list ? read_whole(tree->items[1], what, 1, kMaxImageSide, violations) : first;
  if (!first || !second) return std::nullopt;
  return Size{static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*second), !list};
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

MemberInput read_member_input(const Tree& tree, Violations& violations) {
  MemberInput input;
  Fields fields(tree, "'input' of a member", violations);
  if (tree.kind != Tree::Kind::map) return input;
  read_resize(fields, input.resize, std::nullopt, violations);
  input.mean = read_channels(fields, "mean", kFloat, violations);
  input.std = read_channels(fields, "std", kPositiveFloat, violations);
  fields.finish();
  return input;
}

std::optional<ImageShape> known_shape(const InputSpec& input) {
  if (input.dataset == Dataset::npy || !input.tensors.empty()) return std::nullopt;
  if (input.dataset == Dataset::digits || input.dataset == Dataset::cifar10) return ImageShape{3, 32, 32};
  return input.shape;
}

bool resizes_pictures(const InputSpec& input) { return input.dataset == Dataset::folder && !input.tiles; }

void refuse_tiles(const InputSpec& input, const SourcePosition& position, std::string_view what,
                  Violations& violations) {
  if (input.tiles)
    violations.add(position, fmt::format("{} cannot be 'tiles', which only 'tutti run' puts together again; leave "
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

}  // namespace tutti::config
