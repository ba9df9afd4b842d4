#include "config/include.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "config/yaml.hpp"

namespace tutti::config {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHere = "${here}";
constexpr std::string_view kNameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

class Includer {
 public:
  explicit Includer(Violations& violations) : violations_(violations) {}

  std::optional<Tree> read(std::string_view text, const std::string& file, const fs::path& folder,
                           const fs::path& identity) {
    auto own = parse_yaml(text, file, violations_);
    if (!own) return std::nullopt;
    if (own->kind == Tree::Kind::null) own->kind = Tree::Kind::map;  // an empty file changes nothing
    if (own->kind != Tree::Kind::map) {
      violations_.add(own->position,
                      fmt::format("a configuration is a map of keys and values, not {}", describe(*own)));
      return std::nullopt;
    }
    remove_extensions(*own);
    chain_.push_back({file, identity});
    auto whole = merge_includes(std::move(*own), folder);
    chain_.pop_back();
    return whole;
  }

 private:
  struct Link {
    std::string file;
    fs::path identity;
  };

  std::optional<Tree> merge_includes(Tree own, const fs::path& folder) {
    const Tree* list = own.find("include");
    if (list == nullptr) {
      expand_here(own, folder, violations_);
      return own;
    }
    Tree below = Tree::map();
    bool complete = true;
    for (const Tree& item : list->kind == Tree::Kind::list ? list->items : std::vector<Tree>{*list}) {
      if (item.kind == Tree::Kind::null && !item.blank) continue;
      auto included = read_included(item, folder);
      complete = complete && included;
      if (included) merge(below, std::move(*included));
    }
    own.remove("include");
    expand_here(own, folder, violations_);
    merge(below, std::move(own));
    return complete ? std::optional(std::move(below)) : std::nullopt;
  }

  std::optional<Tree> read_included(const Tree& item, const fs::path& folder) {
    const auto refuse = [&](std::string text) {
      violations_.add(item.position, std::move(text));
      return std::nullopt;
    };
    if (item.kind != Tree::Kind::scalar || item.scalar.empty())
      return refuse(fmt::format("'include' must be a file or a list of files, not {}", describe(item)));
    // Relative includes start at the folder of the file, whether it says so or not.
    fs::path path = folder / item.scalar;
    if (is_expanded(item.scalar)) {
      Tree expanded = item;
      const std::size_t before = violations_.count();
      expand_here(expanded, folder, violations_);
      if (violations_.count() > before) return std::nullopt;
      path = expanded.scalar;
    }
    path = path.lexically_normal();
    std::error_code ignored;  // a path that cannot be resolved cannot be read either, which is reported below
    const fs::path identity = fs::weakly_canonical(path, ignored);
    if (const std::string circle = circle_to(identity); !circle.empty())
      return refuse(fmt::format("files include each other in a circle: {}{}", circle, path.string()));
    if (chain_.size() >= kMaxIncludeDepth)
      return refuse(fmt::format("includes are nested more than {} files deep", kMaxIncludeDepth));
    if (++files_ > kMaxIncludedFiles) return refuse(fmt::format("more than {} included files", kMaxIncludedFiles));
    try {
      return read(read_text(path, "the included file"), path.string(), path.parent_path(), identity);
    } catch (const Error& error) {
      return refuse(fmt::format("{}: {}", error.message(), error.detail()));
    }
  }

  /// "a.yaml -> b.yaml -> ", the files from `identity` on, if it is being read already; otherwise empty.
  std::string circle_to(const fs::path& identity) const {
    const auto from = std::find_if(chain_.begin(), chain_.end(),
                                   [&](const Link& link) { return !identity.empty() && link.identity == identity; });
    std::string text;
    for (auto link = from; link != chain_.end(); ++link) text += link->file + " -> ";
    return text;
  }

  Violations& violations_;
  std::vector<Link> chain_;
  std::size_t files_ = 0;
};

/// Of `$NAME/` at the start of a path; 0 if it does not begin so. Without the slash it may be any text.
std::size_t letters_of_name(std::string_view text) {
  const std::size_t end = text.starts_with('$') ? text.find_first_not_of(kNameLetters, 1) : 0;
  return end != text.npos && end > 1 && text[end] == '/' ? end - 1 : 0;
}

}  // namespace

void remove_extensions(Tree& root) {
  std::erase_if(root.entries, [](const Tree::Entry& entry) { return entry.key.starts_with("x-"); });
}

bool is_expanded(std::string_view text) {
  return text.starts_with("~/") || text.starts_with("${") || letters_of_name(text) != 0;
}

void expand_here(Tree& tree, const fs::path& folder, Violations& violations) {
  for (Tree& item : tree.items) expand_here(item, folder, violations);
  for (Tree::Entry& entry : tree.entries) expand_here(entry.value, folder, violations);
  if (tree.kind != Tree::Kind::scalar) return;
  if (!is_expanded(tree.scalar)) return;
  const bool home = tree.scalar.starts_with("~/");
  const std::size_t letters = letters_of_name(tree.scalar);
  const std::size_t end = home ? 0 : letters != 0 ? letters : tree.scalar.find('}');
  const std::string name = home           ? "HOME"
                           : letters != 0 ? tree.scalar.substr(1, letters)
                                          : tree.scalar.substr(2, end == tree.scalar.npos ? end : end - 2);
  const std::string rest = end == tree.scalar.npos ? "" : tree.scalar.substr(end + 1);
  const auto refuse = [&](std::string what) {
    violations.add(tree.position, std::move(what));
    tree.scalar.erase(0, 1);  // reported once, although the tree of a file becomes part of another one
  };
  const bool is_name = name == "here" || (!name.empty() && name.find_first_not_of(kNameLetters) == name.npos);
  if (end == tree.scalar.npos || !is_name || (!rest.empty() && rest.front() != '/'))
    return refuse(
        fmt::format("'{}' begins with what looks like a variable; {}/, the folder of this file, and ${{NAME}}/, a "
                    "variable of the environment, have a meaning at the start of a path",
                    one_line(tree.scalar), kHere));
  fs::path base = folder.empty() ? fs::path(".") : folder;
  if (name != "here") {
    const char* const value = std::getenv(name.c_str());
    if (value == nullptr)
      return refuse(
          fmt::format("'{}' needs the variable {} of the environment, which is not set", one_line(tree.scalar), name));
    base = value;
  }
  const fs::path below = fs::path(rest).relative_path();
  tree.scalar = (below.empty() ? base : base / below).lexically_normal().string();
}

std::optional<Tree> read_with_includes(std::string_view text, const std::string& file, const fs::path& folder,
                                       const fs::path& identity, Violations& violations) {
  return Includer(violations).read(text, file, folder, identity);
}

}  // namespace tutti::config
