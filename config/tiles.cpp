#include "config/tiles.hpp"

#include <vector>

#include <fmt/format.h>

#include "common/counted.hpp"
#include "config/input.hpp"

namespace tutti::config {
namespace {

constexpr NumberRule kOverlap{"a number of at least 0 and below 1",
                              [](double value) { return value >= 0 && value < 1; }};

/// 512, or [512, 512].
void read_tile_size(Fields& fields, std::optional<std::size_t> axes, Dims& size, Violations& violations) {
  const Tree* tree = fields.require("size", "how long a tile is along each axis: 512, or [height, width]");
  if (tree == nullptr) return;
  const bool list = tree->kind == Tree::Kind::list;
  const std::size_t least = axes.value_or(1);
  const std::size_t most = axes.value_or(kMaxTiledAxes);
  if (list ? tree->items.size() < least || tree->items.size() > most : tree->kind != Tree::Kind::scalar) {
    const std::string wanted = axes ? (*axes == 2 ? "[height, width]" : fmt::format("a list of {}", *axes))
                                    : fmt::format("a list of 1 to {}, one for each axis after the channels", most);
    violations.add(tree->position,
                   fmt::format("'size' of 'tiles' must be a number or {}, not {}", wanted,
                               list ? fmt::format("a list of {}", tree->items.size()) : describe(*tree)));
    return;
  }
  const std::string what = list ? "each item of 'size'" : "'size'";
  for (const Tree& item : list ? tree->items : std::vector<Tree>{*tree}) {
    const auto length = read_whole(item, what, 1, kMaxImageSide, violations);
    if (!length) return;
    size.push_back(static_cast<std::uint32_t>(*length));
  }
}

}  // namespace

std::optional<Tiles> read_tiles(Fields& input, std::optional<std::size_t> axes, Violations& violations) {
  const Tree* tree = input.find("tiles");
  if (tree == nullptr) return std::nullopt;
  const std::size_t before = violations.count();
  Fields fields(*tree, "'tiles'", violations);
  Tiles tiles;
  read_tile_size(fields, axes, tiles.size, violations);
  fields.number("overlap", tiles.overlap, kOverlap);
  fields.choice("blend", tiles.blend);
  fields.finish();
  if (violations.count() != before) return std::nullopt;
  return tiles;
}

}  // namespace tutti::config
