// The rules of the source tree that a program can check: which folder may include which, who owns a third-party
// library, how files begin, how long they get, how they are called. Pure functions over a file's text; what belongs to
// formatting or to the language is left to clang-format and clang-tidy.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::tidy {

/// A file of the tree; `path` is relative to the root: "common/json.hpp".
struct File {
  std::string path;
  std::string text;
};

/// All checks return complaints, each "path:line: what is wrong".
using Complaints = std::vector<std::string>;

/// The arrows between the folders and the owners of third-party libraries. `exists` holds the paths of all files.
Complaints check_includes(const File& file, const std::vector<std::string>& exists);

/// A C++ file opens with a comment, unless its header does that for it; a header says `#pragma once`.
Complaints check_opening(const File& file, const std::vector<std::string>& exists);

/// Tabs, blanks at the ends of lines, a missing newline at the end.
Complaints check_whitespace(const File& file);

/// Files of at most kMaxFileLines lines, functions of at most kMaxFunctionLines (found by their braces, which is right
/// for code that clang-format has formatted).
Complaints check_lengths(const File& file);
inline constexpr std::size_t kMaxFileLines = 400;
inline constexpr std::size_t kMaxFunctionLines = 70;

/// File names of words without meaning ("util"), and texts with the path of a home folder.
Complaints check_names(const File& file);

/// Phrases in comments, literals and documents that plain English has a usual word for, which the complaint names.
/// Code, also that between backquotes, is not looked at.
Complaints check_words(const File& file);

/// The text of a path of the tree; nothing if it is not there.
using TextOf = std::function<std::optional<std::string>(const std::string&)>;
/// Links of documents, and the documents that other files name ("docs/report.md"), lead to files and headings that are
/// there. No document has a placeholder, such as a name between two @, for what was to be filled in.
Complaints check_documents(const File& file, const TextOf& text_of);

/// The text with comments and the contents of literals blanked out; lines and columns stay where they were.
std::string without_comments_and_literals(std::string_view text);

}  // namespace tutti::tidy
