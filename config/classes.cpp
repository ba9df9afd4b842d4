#include "config/classes.hpp"

#include <algorithm>
#include <optional>
#include <sstream>
#include <string_view>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/json.hpp"
#include "common/unicode.hpp"
#include "config/reader.hpp"
#include "config/tasks.hpp"

namespace tutti::config {
namespace {

using Names = std::vector<std::string>;

/// One name per line; empty lines at the end do not count.
Names lines_of(const std::string& text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::istringstream stream(text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text);
  Names lines;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(line);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

/// The texts of a list; nothing if it holds anything else.
std::optional<Names> texts_of(const json::array& list) {
  Names names;
  for (const json::value& name : list) {
    if (!name.is_string()) return std::nullopt;
    names.emplace_back(name.get_string());
  }
  return names;
}

/// {"0": "cat", "1": "dog"}: the names in the order of their numbers; nothing if a number is missing.
std::optional<Names> texts_of(const json::object& by_number) {
  Names names;
  for (std::size_t number = 0; number < by_number.size(); ++number) {
    const json::value* name = by_number.if_contains(std::to_string(number));
    if (name == nullptr || !name->is_string()) return std::nullopt;
    names.emplace_back(name->get_string());
  }
  return names;
}

/// Nothing if the text is not of such a form; throws Error if it is not JSON.
std::optional<Names> names_in_json(const std::string& text, const std::string& file) {
  const json::value value = parse_json(text, file);
  if (value.is_array()) return texts_of(value.get_array());
  if (!value.is_object()) return std::nullopt;
  const json::value* labels = value.get_object().if_contains("id2label");
  return labels != nullptr && labels->is_object() ? texts_of(labels->get_object()) : std::nullopt;
}

class ClassReader {
 public:
  ClassReader(const Tree& tree, Violations& violations) : tree_(tree), violations_(violations) {}

  Names read() {
    const std::size_t before = violations_.count();
    if (tree_.kind == Tree::Kind::scalar)
      read_file();
    else
      read_list();
    if (violations_.count() == before) check();
    return violations_.count() == before ? std::move(names_) : Names{};
  }

 private:
  void read_list() {
    if (tree_.kind != Tree::Kind::list || tree_.items.empty()) {
      violations_.add(tree_.position,
                      fmt::format("'classes' must be a list of names or a file with one name per line, not {}",
                                  tree_.kind == Tree::Kind::list ? "an empty list" : describe(tree_)));
      return;
    }
    for (const Tree& item : tree_.items) {
      if (item.kind == Tree::Kind::scalar && !item.scalar.empty()) {
        names_.push_back(item.scalar);
        continue;
      }
      const std::string_view advice =
          item.kind == Tree::Kind::null && !item.blank ? "; if the class is called null, write it in quotes" : "";
      violations_.add(item.position, fmt::format("class {} of 'classes' must be a name, not {}{}", names_.size(),
                                                 describe(item), advice));
      return;
    }
  }

  void read_file() {
    const std::string& file = tree_.scalar;
    std::optional<Names> names;
    may_repeat_ = file.ends_with(".json");
    try {
      const std::string text = read_text(file, "the class names");
      names = may_repeat_ ? names_in_json(text, file) : lines_of(text);
    } catch (const Error& error) {
      violations_.add(tree_.position, fmt::format("{} ({})", error.message(), error.detail()));
      return;
    }
    const bool sound = names && !names->empty() && std::ranges::find(*names, "") == names->end();
    if (sound)
      names_ = std::move(*names);
    else
      violations_.add(tree_.position,
                      fmt::format("'{}' must hold {}", file,
                                  may_repeat_ ? "a list of names, or an object with 'id2label' that numbers them from 0"
                                              : "one class name per line, and no empty line"));
  }

  void check() {
    if (names_.size() > kMaxClassNames) {
      violations_.add(tree_.position,
                      fmt::format("'classes' names {} classes, more than {}", names_.size(), kMaxClassNames));
      return;
    }
    // ImageNet's labels name two classes "crane"; what is written by hand is more likely a mistake.
    if (may_repeat_) return;
    Names sorted;
    for (const std::string& name : names_) sorted.push_back(composed(name));
    std::ranges::sort(sorted);
    if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end())
      violations_.add(tree_.position, fmt::format("'classes' names '{}' twice; tell the two apart", one_line(*twice)));
  }

  const Tree& tree_;
  Violations& violations_;
  Names names_;
  bool may_repeat_ = false;
};

}  // namespace

std::vector<std::string> read_class_names(const Tree& tree, Violations& violations) {
  return ClassReader(tree, violations).read();
}

}  // namespace tutti::config
