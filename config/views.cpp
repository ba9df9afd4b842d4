#include "config/views.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "config/input.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

constexpr NumberRule kScale{"a number from 0.1 to 10",
                            [](double value) { return value >= kLeastScale && value <= kMostScale; }};

bool is_map(ViewKind kind) { return kind == ViewKind::crops || kind == ViewKind::scale; }

/// Those that are written as words.
std::vector<std::string> words() {
  std::vector<std::string> names;
  for (const auto& entry : enum_names(ViewKind{}))
    if (!is_map(entry.value)) names.emplace_back(entry.name);
  return names;
}

std::optional<View> read_word(const Tree& tree, Violations& violations) {
  const auto kind = tree.kind == Tree::Kind::scalar ? from_name<ViewKind>(tree.scalar) : std::nullopt;
  if (kind && !is_map(*kind)) return View{.kind = *kind};
  std::vector<std::string> names = words();
  const std::string near = tree.kind == Tree::Kind::scalar && !kind ? did_you_mean(tree.scalar, names) : "";
  names.insert(names.end(), {"{crops: 5, size: 224}", "{scale: 1.25}"});
  violations.add(tree.position, fmt::format("a view must be {}, not {}{}", one_of(names), describe(tree), near));
  return std::nullopt;
}

View read_crops(Fields& fields, Violations& violations) {
  View view{.kind = ViewKind::crops};
  const std::array numbers{std::string("1"), std::string("5"), std::string("10")};
  if (const auto crops = fields.one_of_words("crops", numbers); crops)
    std::from_chars(crops->data(), crops->data() + crops->size(), view.crops);
  fields.require("size", "the size of each crop: a number or [height, width]");
  if (const auto size = read_size(fields, "size", violations)) {
    view.height = size->height;
    view.width = size->width;
  }
  return view;
}

std::optional<View> read_map(const Tree& tree, Violations& violations) {
  const std::size_t before = violations.count();
  Fields fields(tree, "a view", violations);
  const bool crops = fields.find("crops") != nullptr;
  const bool scales = fields.find("scale") != nullptr;
  View view{.kind = ViewKind::scale};
  if (crops && scales) {
    violations.add(tree.position, "'crops' and 'scale' are two views; write {crops: ...}, {scale: ...}");
    fields.find("size");
  } else if (crops) {
    view = read_crops(fields, violations);
  } else if (scales) {
    fields.number("scale", view.scale, kScale);
    fields.refuse("size", "'size' is that of 'crops'; the size of a 'scale' follows from its factor");
  } else {
    fields.find("size");  // the missing or misspelled key says more
  }
  fields.finish();
  if (violations.count() != before) return std::nullopt;
  if (crops || scales) return view;
  violations.add(tree.position, "a view that is a map must be {crops: 5, size: 224} or {scale: 1.25}");
  return std::nullopt;
}

/// Crops of one size are parts of each other.
bool is_same(const View& one, const View& other) {
  const bool crops = one.kind == ViewKind::crops && other.kind == ViewKind::crops;
  return one == other || (crops && one.height == other.height && one.width == other.width);
}

void add(const View& view, const Tree& item, ReadViews& read, Violations& violations) {
  const auto same = std::ranges::find_if(read.views, [&](const View& before) { return is_same(before, view); });
  if (same != read.views.end())
    return violations.add(item.position, fmt::format("view '{}' is given twice{}", to_text(view),
                                                     *same == view ? "" : fmt::format(", as '{}'", to_text(*same))));
  read.views.push_back(view);
  read.positions.push_back(item.position);
}

}  // namespace

ReadViews read_views(const Tree& tree, Violations& violations) {
  ReadViews read;
  if (tree.kind != Tree::Kind::list || tree.items.size() > kMaxViews) {
    violations.add(
        tree.position,
        fmt::format("'views' must be a list of at most {}, such as [identity, hflip], not {}", kMaxViews,
                    tree.kind == Tree::Kind::list ? fmt::format("one of {}", tree.items.size()) : describe(tree)));
    return read;
  }
  for (const Tree& item : tree.items) {
    const auto view = item.kind == Tree::Kind::map ? read_map(item, violations) : read_word(item, violations);
    if (view) add(*view, item, read, violations);
  }
  return read;
}

}  // namespace tutti::config
