// Reads a configuration and the files that it includes, and merges them. It knows one key: `include`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "config/tree.hpp"

namespace tutti::config {

/// Bounds: files in a chain, and files in all (one that is included twice counts twice).
constexpr std::size_t kMaxIncludeDepth = 16;
constexpr std::size_t kMaxIncludedFiles = 256;

/// `text` with its includes merged below it, depth first, later ones over earlier ones; the key `include` is gone.
/// Relative includes are looked up in `folder`. `file` names the text in messages, `identity` tells it apart from the
/// files it includes (empty: it is no file). Nothing, with the reasons in `violations`, where a file is missing, is no
/// YAML, or includes itself.
std::optional<Tree> read_with_includes(std::string_view text, const std::string& file,
                                       const std::filesystem::path& folder, const std::filesystem::path& identity,
                                       Violations& violations);

}  // namespace tutti::config
