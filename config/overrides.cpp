#include "config/overrides.hpp"

#include <charconv>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "config/yaml.hpp"

namespace tutti::config {
namespace {

void stamp(Tree& tree, const SourcePosition& position) {
  tree.position = position;
  for (Tree& item : tree.items) stamp(item, position);
  for (Tree::Entry& entry : tree.entries) {
    entry.key_position = position;
    stamp(entry.value, position);
  }
}

/// One argument is wrong; the text is for the user.
struct Refused {
  std::string text;
};

Tree& item_of(Tree& list, std::string_view index, std::string_view so_far) {
  if (list.items.empty()) throw Refused{fmt::format("'{}' is an empty list; it has no item '{}'", so_far, index)};
  std::size_t at = 0;
  const auto [end, code] = std::from_chars(index.data(), index.data() + index.size(), at);
  if (index.empty() || code != std::errc() || end != index.data() + index.size() || at >= list.items.size())
    throw Refused{fmt::format("'{}' is a list; write an index from 0 to {} after it, not '{}'", so_far,
                              list.items.size() - 1, index)};
  return list.items[at];
}

/// Walks `path` from `tree`, creating missing maps, and sets the value at its end.
void set_at(Tree& tree, std::string_view path, std::size_t walked, Tree value) {
  const std::string_view so_far = path.substr(0, walked == 0 ? 0 : walked - 1);
  const std::string_view rest = path.substr(walked);
  if (tree.kind == Tree::Kind::null) {
    tree = Tree::map();
    tree.position = value.position;
  }
  if (tree.kind == Tree::Kind::scalar)
    throw Refused{fmt::format("'{0}' is {1}, not a map; write {0}=VALUE to replace it", so_far, describe(tree))};
  // A key may contain dots, as names of members do: a whole key that exists comes first.
  const bool whole = tree.find(rest) != nullptr;
  const std::size_t dot = whole ? rest.npos : rest.find('.');
  const std::string_view key = rest.substr(0, dot);
  if (key.empty()) throw Refused{fmt::format("'{}' has an empty key; write a.b.c=VALUE", path)};
  if (tree.kind == Tree::Kind::list) {
    Tree& item = item_of(tree, key, so_far);
    if (dot == rest.npos)
      item = std::move(value);
    else
      set_at(item, path, walked + dot + 1, std::move(value));
    return;
  }
  const SourcePosition position = value.position;
  if (dot == rest.npos) return tree.set(key, std::move(value), position);
  if (tree.find(key) == nullptr) tree.set(key, Tree::null(), position);
  set_at(*tree.find(key), path, walked + dot + 1, std::move(value));
}

void apply(Tree& root, const std::string& argument, const SourcePosition& position, Violations& violations) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string::npos) throw Refused{"write key=value, for example segment_images=100"};
  if (equals == 0) throw Refused{"the key is empty; write key=value, for example segment_images=100"};
  const std::string path = argument.substr(0, equals);
  if (path == "include" || path.starts_with("include.")) throw Refused{"'include' can only be written in a file"};
  Violations own;
  auto value = parse_yaml(std::string_view(argument).substr(equals + 1), position.file, own);
  violations.add_all(own, position);
  if (!value) return;
  if (value->blank) throw Refused{fmt::format("the value is empty; write {}=VALUE, or null for the default", path)};
  stamp(*value, position);
  set_at(root, path, 0, std::move(*value));
}

}  // namespace

void apply_overrides(Tree& root, const std::vector<std::string>& arguments, Violations& violations) {
  for (const std::string& argument : arguments) {
    const SourcePosition position{fmt::format("command line: '{}'", argument)};
    try {
      apply(root, argument, position, violations);
    } catch (const Refused& refused) {
      violations.add(position, refused.text);
    }
  }
}

}  // namespace tutti::config
