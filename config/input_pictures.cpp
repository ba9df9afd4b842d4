#include "config/input_pictures.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "common/resample.hpp"
#include "config/input_labels.hpp"
#include "config/tiles.hpp"

namespace tutti::config {
namespace {

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

/// Each picture is cut as it is.
void read_tiled_folder(Fields& fields, InputSpec& input, Violations& violations) {
  const auto refuse = [&](std::string_view key) {
    fields.refuse(key, fmt::format("'{}' changes the size of pictures, and 'tiles' are cut from pictures as they are; "
                                   "leave one of them out",
                                   key));
  };
  std::ranges::for_each(kResizeKeys, refuse);
  refuse("jpeg_scaling");
  fields.refuse("decode_threads",
                "'decode_threads' is for pictures that are resized; with 'tiles' one is decoded at a time");
  input.tiles = read_tiles(fields, 2, violations);
  if (input.tiles) input.shape = {3, input.tiles->size.front(), input.tiles->size.back()};
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

void read_decoding(Fields& fields, InputSpec& input, std::optional<Size> size, Violations& violations) {
  fields.whole("decode_threads", input.decode_threads, 1, kMaxDecodeThreads);
  fields.boolean("jpeg_scaling", input.jpeg_scaling);
  const std::size_t before = violations.count();
  read_resize(fields, input.resize, size, violations);
  if (violations.count() != before) return;
  input.resize = resize_of_picture({}, input.resize);
  const ImageShape shape = fixed_shape(input.resize);
  if (shape.elements() > kMaxImageElements)
    violations.add(fields.position_of("resize"), fmt::format("images of {} are {} values each, more than {}",
                                                             shape.text(), shape.elements(), kMaxImageElements));
  else
    input.shape = shape;
}

void read_folder(Fields& fields, InputSpec& input, Violations& violations) {
  fields.require("path", "the folder with the images, or with one folder of images for each class");
  fields.path("path", input.path);
  fields.choice("on_broken", input.on_broken);
  fields.choice("orientation", input.orientation);
  read_labels(fields, input, violations);
  if (fields.find("tiles") != nullptr) return read_tiled_folder(fields, input, violations);
  read_decoding(fields, input, Size{kFolderSide, kFolderSide, true}, violations);
}

}  // namespace tutti::config
