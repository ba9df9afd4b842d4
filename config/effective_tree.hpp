// Values as YAML, for those who write a description again.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "common/values.hpp"
#include "config/tree.hpp"

namespace tutti::config {

// Enough digits to read the same value back: fmt writes the shortest such text.
template <class Number>
Tree number(Number value) {
  return Tree::plain(fmt::format("{}", value));
}
inline Tree boolean(bool value) { return Tree::plain(value ? "true" : "false"); }
template <class Enum>
Tree name_of(Enum value) {
  return Tree::plain(std::string(to_name(value)));
}

template <class Range>
Tree numbers(const Range& values) {
  Tree list = Tree::list();
  for (const auto value : values) list.items.push_back(number(value));
  return list;
}

inline void set_path(Tree& map, std::string_view key, const std::filesystem::path& path) {
  if (!path.empty()) map.set(key, Tree::text(path.string()));
}

/// 224, or [height, width].
inline Tree size_of(std::uint32_t height, std::uint32_t width, bool one_number) {
  return one_number ? number(height) : numbers(std::array{height, width});
}

}  // namespace tutti::config
