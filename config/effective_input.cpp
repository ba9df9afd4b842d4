#include "config/effective_input.hpp"

#include <array>

#include "config/effective_tree.hpp"
#include "config/input.hpp"

namespace tutti::config {
namespace {

Tree tree_of(const ImageShape& shape) { return numbers(std::array{shape.channels, shape.height, shape.width}); }

Tree tree_of(const std::vector<InputTensor>& tensors) {
  if (tensors.size() == 1 && tensors[0].name.empty()) return Tree::text(tensors[0].file.string());
  Tree map = Tree::map();
  for (const InputTensor& tensor : tensors) {
    if (!tensor.file.empty()) {
      map.set(tensor.name, Tree::text(tensor.file.string()));
      continue;
    }
    Tree layout = Tree::map();
    layout.set("shape", numbers(tensor.layout.dims));
    layout.set("dtype", name_of(tensor.layout.dtype));
    map.set(tensor.name, std::move(layout));
  }
  return map;
}

/// The shape of an image, or the tensors.
void set_form(Tree& map, const InputSpec& input) {
  if (input.tensors.empty())
    map.set("shape", tree_of(input.shape));
  else
    map.set("inputs", tree_of(input.tensors));
}

void set_labels(Tree& map, const InputSpec& input) {
  set_path(map, "labels", input.labels);
  if (input.ignore_index) map.set("ignore_index", number(*input.ignore_index));
}

void set_decoding(Tree& map, const InputSpec& input) {
  if (!input.tiles) map.set("jpeg_scaling", boolean(input.jpeg_scaling));
  map.set("orientation", name_of(input.orientation));
  if (input.decode_threads != 0) map.set("decode_threads", number(input.decode_threads));
}

void set_keys_of_dataset(Tree& map, const InputSpec& input) {
  switch (input.dataset) {
    case Dataset::digits:
      map.set("split", name_of(input.split));
      return;
    case Dataset::cifar10:
      map.set("split", name_of(input.split));
      set_path(map, "path", input.path);
      return;
    case Dataset::npy:
      if (!input.tensors.empty()) map.set("inputs", tree_of(input.tensors));
      set_path(map, "images", input.images);
      set_labels(map, input);
      if (input.tensors.empty()) map.set("layout", name_of(input.layout));
      return;
    case Dataset::folder:
      set_path(map, "path", input.path);
      set_labels(map, input);
      set_resize(map, input.resize);
      map.set("on_broken", name_of(input.on_broken));
      set_decoding(map, input);
      return;
    case Dataset::random:
      map.set("count", number(input.count));
      map.set("seed", number(input.seed));
      set_form(map, input);
      return;
    case Dataset::memory:
      if (!resizes_pictures(input)) return set_form(map, input);
      set_resize(map, input.resize);
      set_decoding(map, input);
      return;
  }
}

Tree tree_of(const Tiles& tiles) {
  Tree map = Tree::map();
  map.set("size", tiles.size.size() == 1 ? number(tiles.size.front()) : numbers(tiles.size));
  map.set("overlap", number(tiles.overlap));
  map.set("blend", name_of(tiles.blend));
  return map;
}

}  // namespace

void set_resize(Tree& map, const Resize& resize) {
  if (resize.rule != ResizeRule::none) {
    map.set("resize", size_of(resize.height, resize.width, resize.rule == ResizeRule::shorter));
    map.set("rule", name_of(resize.rule));
    map.set("interpolation", name_of(resize.interpolation));
  }
  if (resize.crop_height != 0) map.set("crop", size_of(resize.crop_height, resize.crop_width, false));
  if (resize.crop_height != 0 || resize.rule == ResizeRule::shorter)
    map.set("crop_rounding", name_of(resize.crop_rounding));
}

Tree input_tree(const MemberInput& input, const std::vector<std::string>& prepares) {
  Tree map = Tree::map();
  if (prepares.size() == 1) map.set("tensors", Tree::text(prepares.front()));
  if (prepares.size() > 1) {
    Tree names = Tree::list();
    for (const std::string& name : prepares) names.items.push_back(Tree::text(name));
    map.set("tensors", std::move(names));
  }
  set_resize(map, input.resize);
  if (!input.mean.empty()) map.set("mean", numbers(input.mean));
  if (!input.std.empty()) map.set("std", numbers(input.std));
  return map;
}

Tree input_tree(const InputSpec& input) {
  Tree map = Tree::map();
  map.set("dataset", name_of(input.dataset));
  set_keys_of_dataset(map, input);
  if (input.tiles) map.set("tiles", tree_of(*input.tiles));
  if (input.classes > 0) map.set("classes", number(input.classes));
  if (input.skip > 0) map.set("skip", number(input.skip));
  if (input.limit) map.set("limit", number(*input.limit));
  Tree preprocess = Tree::map();
  if (!input.preprocess.mean.empty()) preprocess.set("mean", numbers(input.preprocess.mean));
  if (!input.preprocess.std.empty()) preprocess.set("std", numbers(input.preprocess.std));
  if (!preprocess.entries.empty()) map.set("preprocess", std::move(preprocess));
  return map;
}

}  // namespace tutti::config
