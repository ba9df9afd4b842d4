#include "config/yaml.hpp"

#include <algorithm>
#include <array>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace tutti::config {
namespace {

/// Thrown by the conversion if it cannot continue; the text is for the user.
struct Unusable {
  SourcePosition position;
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

  SourcePosition position(const YAML::Mark& mark) const {
    return {file_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
  }

  /// The rest of the same line.
  std::string_view rest_at(const YAML::Mark& mark) const {
    const SourcePosition at = position(mark);
    const std::size_t line = static_cast<std::size_t>(at.line) - 1;
    const std::size_t column = static_cast<std::size_t>(at.column) - 1;
    return line < lines_.size() && column < lines_[line].size() ? lines_[line].substr(column) : std::string_view{};
  }

  /// The first line up to `mark` that is indented with a tab, which YAML does not allow; nothing if there is none.
  std::optional<SourcePosition> tab_before(const YAML::Mark& mark) const {
    const std::size_t last = std::min(lines_.size(), static_cast<std::size_t>(position(mark).line) + 1);
    for (std::size_t line = 0; line < last; ++line) {
      const std::size_t tab = std::min(lines_[line].find_first_not_of(' '), lines_[line].size());
      if (tab < lines_[line].size() && lines_[line][tab] == '\t')
        return SourcePosition{file_, static_cast<int>(line) + 1, static_cast<int>(tab) + 1};
    }
    return std::nullopt;
  }

  Tree convert(const YAML::Node& from, int depth = 0) {
    Tree tree;
    tree.position = position(from.Mark());
    if (++nodes_ > kMaxYamlNodes) throw Unusable{tree.position, fmt::format("more than {} values", kMaxYamlNodes)};
    if (depth > kMaxYamlDepth) throw Unusable{tree.position, fmt::format("nested more than {} levels", kMaxYamlDepth)};
    refuse_tag(from, tree.position);
    if (from.IsScalar()) {
      tree.kind = Tree::Kind::scalar;
      tree.scalar = from.Scalar();
      tree.quoted = from.Tag() == "!";
    } else if (from.IsSequence()) {
      tree.kind = Tree::Kind::list;
      for (const YAML::Node& item : from) tree.items.push_back(convert(item, depth + 1));
    } else if (from.IsMap()) {
      tree.kind = Tree::Kind::map;
      convert_map(from, tree, depth);
    } else {
      tree.blank = !null_is_written(rest_at(from.Mark()));
    }
    return tree;
  }

 private:
  static bool is_merge_key(const YAML::Node& key) { return key.IsScalar() && key.Scalar() == "<<" && key.Tag() != "!"; }

  /// Keys of the map come before those that it merges, wherever `<<` is written.
  void convert_map(const YAML::Node& from, Tree& tree, int depth) {
    for (const auto& entry : from)
      if (!is_merge_key(entry.first)) add_entry(tree, entry.first, convert(entry.second, depth + 1));
    for (const auto& entry : from)
      if (is_merge_key(entry.first)) merge_into(tree, convert(entry.second, depth + 1), position(entry.first.Mark()));
  }

  /// YAML's merge key (https://yaml.org/type/merge.html): of several maps the first counts.
  void merge_into(Tree& map, Tree merged, const SourcePosition& at) {
    if (merged.kind == Tree::Kind::list) {
      for (Tree& item : merged.items) merge_into(map, std::move(item), at);
      return;
    }
    if (merged.kind != Tree::Kind::map) {
      violations_.add(at,
                      fmt::format("'<<' takes a map or a list of maps, such as *defaults, not {}", describe(merged)));
      return;
    }
    for (Tree::Entry& entry : merged.entries)
      if (map.find_entry(entry.key) == nullptr) map.entries.push_back(std::move(entry));
  }

  void add_entry(Tree& map, const YAML::Node& key, Tree value) {
    const SourcePosition key_position = position(key.Mark());
    if (!key.IsScalar()) {
      violations_.add(key_position, "a key must be a word, not a list, a map or nothing");
      return;
    }
    // The parser marks a missing value by what comes after it, often on the next line: the key is the better position.
    if (value.blank) value.position = key_position;
    if (const Tree::Entry* first = map.find_entry(key.Scalar()); first != nullptr) {
      violations_.add(key_position, fmt::format("duplicate key '{}'; it is already given in line {}", key.Scalar(),
                                                first->key_position.line));
      return;
    }
    map.entries.push_back({key.Scalar(), key_position, std::move(value)});
  }

  void refuse_tag(const YAML::Node& from, const SourcePosition& at) {
    const std::string& tag = from.Tag();
    if (tag.empty() || tag == "?" || tag == "!") return;
    violations_.add(at, fmt::format("tags such as '{}' have no meaning here; remove this one", tag));
  }

  // yaml-cpp drops the text of a null. Only the source tells `key: null` from a forgotten value.
  static bool null_is_written(std::string_view rest) {
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

/// Where a document starts; its contents are dropped.
class DocumentStart final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { mark_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  const YAML::Mark& mark() const noexcept { return mark_; }

 private:
  YAML::Mark mark_;
};

/// How many documents the text has, up to two, and where the last of these starts. YAML::LoadAll() would be shorter,
/// but it never ends if yaml-cpp finds a document that takes nothing from the text: it finds a lone comma again and
/// again.
struct Documents {
  int count = 0;
  YAML::Mark last;
};
Documents count_documents(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Documents documents;
  DocumentStart start;
  for (; documents.count < 2 && parser.HandleNextDocument(start); ++documents.count) documents.last = start.mark();
  return documents;
}

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
    const std::string copy(text);
    const Documents documents = count_documents(copy);
    if (documents.count == 0) {
      Tree empty;
      empty.blank = true;
      empty.position = {file, 1, 1};
      return empty;
    }
    if (documents.count > 1) {
      const bool separated = converter.rest_at(documents.last).starts_with("---");
      throw Unusable{converter.position(documents.last),
                     separated ? "a second document starts here, but a file holds only one: remove '---'"
                               : "this is not YAML: it does not continue the text before it"};
    }
    return converter.convert(YAML::Load(copy));
  } catch (const YAML::Exception& error) {
    if (const auto tab = converter.tab_before(error.mark))
      violations.add(*tab, "a tab indents this line, and YAML indents with blanks only: replace it");
    else
      violations.add(converter.position(error.mark), fmt::format("this is not YAML: {}", error.msg));
  } catch (const Unusable& unusable) {
    violations.add(unusable.position, unusable.text);
  }
  return std::nullopt;
}

std::string emit_yaml(const Tree& tree) {
  YAML::Emitter out;
  emit(out, tree);
  return std::string(out.c_str()) + '\n';
}

}  // namespace tutti::config
