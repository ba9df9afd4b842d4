#include "config/yaml.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace tutti::config {
namespace {

/// Raised by the conversion for what cannot go on; the text is for the user.
struct Unusable {
  Place place;
  std::string text;
};

class Converter {
 public:
  Converter(std::string_view text, std::string file, Violations& violations)
      : file_(std::move(file)), violations_(violations) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      lines_.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  Place place(const YAML::Mark& mark) const {
    return {file_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
  }

  Tree convert(const YAML::Node& from, int depth = 0) {
    Tree tree;
    tree.place = place(from.Mark());
    if (++nodes_ > kMaxYamlNodes) throw Unusable{tree.place, fmt::format("more than {} values", kMaxYamlNodes)};
    if (depth > kMaxYamlDepth) throw Unusable{tree.place, fmt::format("nested more than {} levels", kMaxYamlDepth)};
    refuse_tag(from, tree.place);
    if (from.IsScalar()) {
      tree.kind = Tree::Kind::scalar;
      tree.scalar = from.Scalar();
      tree.quoted = from.Tag() == "!";
    } else if (from.IsSequence()) {
      tree.kind = Tree::Kind::list;
      for (const YAML::Node& item : from) tree.items.push_back(convert(item, depth + 1));
    } else if (from.IsMap()) {
      tree.kind = Tree::Kind::map;
      for (const auto& entry : from) add_entry(tree, entry.first, convert(entry.second, depth + 1));
    } else {
      tree.blank = !null_is_written_at(tree.place);
    }
    return tree;
  }

 private:
  void add_entry(Tree& map, const YAML::Node& key, Tree value) {
    const Place key_place = place(key.Mark());
    if (!key.IsScalar()) {
      violations_.add(key_place, "a key must be a word, not a list, a map or nothing");
      return;
    }
    // The parser marks a missing value by what comes after it, often on the next line: the key is the better place.
    if (value.blank) value.place = key_place;
    if (const Tree::Entry* first = map.find_entry(key.Scalar()); first != nullptr) {
      violations_.add(key_place, fmt::format("duplicate key '{}'; it was given in line {} already", key.Scalar(),
                                             first->key_place.line));
      return;
    }
    map.entries.push_back({key.Scalar(), key_place, std::move(value)});
  }

  void refuse_tag(const YAML::Node& from, const Place& at) {
    const std::string& tag = from.Tag();
    if (tag.empty() || tag == "?" || tag == "!") return;
    violations_.add(at, fmt::format("tags such as '{}' have no meaning here; remove it", tag));
  }

  // yaml-cpp drops the text of a null. The difference between `key: null` and a forgotten value is in the source alone.
  bool null_is_written_at(const Place& at) const {
    const std::size_t line = static_cast<std::size_t>(at.line) - 1;
    const std::size_t column = static_cast<std::size_t>(at.column) - 1;
    if (line >= lines_.size() || column >= lines_[line].size()) return false;
    const std::string_view rest = lines_[line].substr(column);
    for (const std::string_view word : {"~", "null", "Null", "NULL"}) {
      if (!rest.starts_with(word)) continue;
      return rest.size() == word.size() || std::string_view(" \t\r,}]").find(rest[word.size()]) != std::string::npos;
    }
    return false;
  }

  std::string file_;
  Violations& violations_;
  std::vector<std::string_view> lines_;
  int nodes_ = 0;
};

bool is_leaf(const Tree& tree) { return tree.kind == Tree::Kind::null || tree.kind == Tree::Kind::scalar; }

void emit(YAML::Emitter& out, const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::null:
      out << YAML::Null;
      return;
    case Tree::Kind::scalar:
      if (tree.quoted) out << YAML::DoubleQuoted;
      out << tree.scalar;
      return;
    case Tree::Kind::list:
      if (std::all_of(tree.items.begin(), tree.items.end(), is_leaf)) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const Tree& item : tree.items) emit(out, item);
      out << YAML::EndSeq;
      return;
    case Tree::Kind::map:
      if (tree.entries.empty()) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const Tree::Entry& entry : tree.entries) {
        out << YAML::Key << entry.key << YAML::Value;
        emit(out, entry.value);
      }
      out << YAML::EndMap;
      return;
  }
}

}  // namespace

std::optional<Tree> parse_yaml(std::string_view text, const std::string& file, Violations& violations) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark would shift the first columns
  Converter converter(text, file, violations);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.empty()) {
      Tree empty;
      empty.blank = true;
      empty.place = {file, 1, 1};
      return empty;
    }
    if (documents.size() > 1)
      throw Unusable{converter.place(documents[1].Mark()), "a second document begins; a file holds one: remove '---'"};
    return converter.convert(documents.front());
  } catch (const YAML::Exception& error) {
    violations.add(converter.place(error.mark), fmt::format("this is not YAML: {}", error.msg));
  } catch (const Unusable& unusable) {
    violations.add(unusable.place, unusable.text);
  }
  return std::nullopt;
}

std::string emit_yaml(const Tree& tree) {
  YAML::Emitter out;
  emit(out, tree);
  return std::string(out.c_str()) + '\n';
}

}  // namespace tutti::config
