#include "config/tree.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace tutti::config {

Tree Tree::null() { return {}; }

Tree Tree::plain(std::string scalar) {
  Tree tree;
  tree.kind = Kind::scalar;
  tree.scalar = std::move(scalar);
  return tree;
}

Tree Tree::text(std::string scalar) {
  Tree tree = plain(std::move(scalar));
  tree.quoted = true;
  return tree;
}

Tree Tree::list() {
  Tree tree;
  tree.kind = Kind::list;
  return tree;
}

Tree Tree::map() {
  Tree tree;
  tree.kind = Kind::map;
  return tree;
}

const Tree::Entry* Tree::find_entry(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

const Tree* Tree::find(std::string_view key) const {
  const Entry* entry = find_entry(key);
  return entry == nullptr ? nullptr : &entry->value;
}

Tree* Tree::find(std::string_view key) { return const_cast<Tree*>(std::as_const(*this).find(key)); }

void Tree::set(std::string_view key, Tree value, SourcePosition key_position) {
  if (Tree* old = find(key); old != nullptr)
    *old = std::move(value);
  else
    entries.push_back({std::string(key), std::move(key_position), std::move(value)});
}

void Tree::remove(std::string_view key) {
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == key; });
}

std::string one_line(std::string_view text) {
  constexpr std::size_t kMost = 80;
  std::string line(text.substr(0, kMost));
  // Do not cut in the middle of a UTF-8 character.
  if (text.size() > kMost)
    while (!line.empty() && (static_cast<unsigned char>(text[line.size()]) & 0xC0U) == 0x80U) line.pop_back();
  for (char& letter : line)
    if (static_cast<unsigned char>(letter) < ' ' || letter == '\x7F') letter = ' ';
  return text.size() > kMost ? line + " [cut]" : line;
}

std::string describe(const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::null:
      return "nothing";
    case Tree::Kind::list:
      return "a list";
    case Tree::Kind::map:
      return "a map";
    case Tree::Kind::scalar:
      break;
  }
  return fmt::format("{}'{}'", tree.quoted ? "the text " : "", one_line(tree.scalar));
}

void merge(Tree& below, Tree above) {
  if (below.kind != Tree::Kind::map || above.kind != Tree::Kind::map) {
    below = std::move(above);
    return;
  }
  below.position = above.position;
  for (Tree::Entry& entry : above.entries) {
    if (Tree::Entry* old = const_cast<Tree::Entry*>(below.find_entry(entry.key)); old != nullptr) {
      old->key_position = entry.key_position;
      merge(old->value, std::move(entry.value));
    } else {
      below.entries.push_back(std::move(entry));
    }
  }
}

}  // namespace tutti::config
