// Reads a configuration and the files that it includes, and merges them. It knows one key: `include`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "config/tree.hpp"

namespace tutti::config {

/// Bounds: nesting of includes, and the number of files (a file that is included twice counts twice).
constexpr std::size_t kMaxIncludeDepth = 16;
constexpr std::size_t kMaxIncludedFiles = 256;

/// Removes the keys at the top level that begin with `x-`: they hold anchors and notes for other tools.
void remove_extensions(Tree& root);

/// Whether expand_here() replaces the start of this text, or says why it cannot.
bool is_expanded(std::string_view text);

/// At the start of a path, replaces `${here}` by `folder` (empty: the current one), `${NAME}` and `$NAME/` by the
/// environment variable of that name, and `~/` by HOME. A variable that is not set is a violation.
void expand_here(Tree& tree, const std::filesystem::path& folder, Violations& violations);

/// `text` merged over its includes, depth first, later ones over earlier ones; the key `include` is removed. Relative
/// includes are looked up in `folder`. `file` names the text in messages; `identity` distinguishes it from the files it
/// includes (empty if the text is not from a file). Returns nothing, with the reasons in `violations`, if a file is
/// missing, is not YAML, or includes itself.
std::optional<Tree> read_with_includes(std::string_view text, const std::string& file,
                                       const std::filesystem::path& folder, const std::filesystem::path& identity,
                                       Violations& violations);

}  // namespace tutti::config
