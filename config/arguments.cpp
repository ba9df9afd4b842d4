#include "config/arguments.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/json.hpp"
#include "config/effective_tree.hpp"

namespace tutti::config {
namespace {

template <class Number>
std::optional<Number> whole_text(std::string_view text) {
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// What YAML 1.2 says a word without quotes means.
json::value word_value(const Tree& tree, Violations& violations) {
  std::string_view word = tree.scalar;
  if (word == "true" || word == "True") return true;
  if (word == "false" || word == "False") return false;
  if (word.starts_with('+')) word.remove_prefix(1);
  if (const auto whole = whole_text<std::int64_t>(word)) return *whole;
  if (const auto whole = whole_text<std::uint64_t>(word)) return *whole;
  static constexpr std::array<std::string_view, 4> kEndless{".inf", "-.inf", ".nan", ".NaN"};
  for (const std::string_view endless : kEndless)
    if (word == endless)
      violations.add(tree.position, fmt::format("'arguments' cannot hold {}; write it in quotes, and convert it in "
                                                "the factory",
                                                word));
  const bool like_a_number = word.find_first_not_of("+-.0123456789eE") == word.npos;
  if (like_a_number)
    if (const auto number = whole_text<double>(word); number && std::isfinite(*number)) return *number;
  return json::value(tree.scalar);
}

json::value value_of(const Tree& tree, Violations& violations) {
  switch (tree.kind) {
    case Tree::Kind::null:
      break;
    case Tree::Kind::scalar:
      return tree.quoted ? json::value(tree.scalar) : word_value(tree, violations);
    case Tree::Kind::list: {
      json::array items;
      for (const Tree& item : tree.items) items.push_back(value_of(item, violations));
      return items;
    }
    case Tree::Kind::map: {
      json::object entries;
      for (const Tree::Entry& entry : tree.entries) entries[entry.key] = value_of(entry.value, violations);
      return entries;
    }
  }
  return nullptr;
}

/// The numbers in a valid JSON text, as they are written there: Boost.JSON reads some of them with another last digit.
std::vector<std::string> numbers_in(std::string_view text) {
  std::vector<std::string> numbers;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') {
      for (++at; text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    } else if (text[at] == '-' || (text[at] >= '0' && text[at] <= '9')) {
      const std::size_t end = std::min(text.find_first_not_of("+-.0123456789eE", at), text.size());
      numbers.emplace_back(text.substr(at, end - at));
      at = end - 1;
    }
  }
  return numbers;
}

/// `number`: the next one of numbers_in().
Tree tree_of(const json::value& value, std::vector<std::string>::const_iterator& number) {
  if (value.is_null()) return Tree::null();
  if (value.is_string()) return Tree::text(std::string(value.get_string()));
  if (value.is_array()) {
    Tree list = Tree::list();
    for (const json::value& item : value.get_array()) list.items.push_back(tree_of(item, number));
    return list;
  }
  if (value.is_object()) {
    Tree map = Tree::map();
    for (const auto& entry : value.get_object()) map.set(entry.key(), tree_of(entry.value(), number));
    return map;
  }
  return Tree::plain(value.is_number() ? *number++ : json::serialize(value));
}

}  // namespace

Arguments read_arguments(const Tree& tree, Violations& violations) {
  if (tree.kind != Tree::Kind::map) {
    violations.add(tree.position, fmt::format("'arguments' must be a map with what the factory is called with, such as "
                                              "{{path: forest.joblib}}, not {}",
                                              describe(tree)));
    return {};
  }
  return {json::serialize(value_of(tree, violations))};
}

Tree arguments_tree(const Arguments& arguments) {
  const json::value value = parse_json(arguments.json, "the text");
  const std::vector<std::string> numbers = numbers_in(arguments.json);
  // Of two equal names Boost.JSON keeps the last, and the numbers would go to others.
  if (numbers_in(json::serialize(value)).size() != numbers.size())
    throw Error(ErrorKind::failed, "it has a name twice");
  auto number = numbers.begin();
  return tree_of(value, number);
}

}  // namespace tutti::config
