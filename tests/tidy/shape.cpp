// How files begin, how long they and their functions are, their blanks, and their names.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <utility>

#include "tests/tidy/checks.hpp"

namespace tutti::tidy {
namespace {

std::string at(const File& file, std::size_t line, const std::string& what) {
  return fmt::format("{}:{}: {}", file.path, line, what);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool is_cpp(std::string_view path) { return path.ends_with(".hpp") || path.ends_with(".cpp") || path.ends_with(".cu"); }

/// Files that may be longer, or hold a longer function, and why. Empty is best.
const std::map<std::string, std::string, std::less<>>& exceptions() {
  static const std::map<std::string, std::string, std::less<>> all{};
  return all;
}

/// A brace that is open: the line on which its statement began, and whether it belongs to a function (as opposed to a
/// namespace, a class, an initialiser).
struct Open {
  std::size_t line = 0;
  bool function = false;
};

/// The first word of a statement, past `template <...>`.
std::string_view first_word(std::string_view statement) {
  if (statement.starts_with("template")) {
    const std::size_t open = statement.find('<');
    std::size_t depth = 0;
    std::size_t i = std::min(open, statement.size());
    for (; i < statement.size(); ++i) {
      if (statement[i] == '<') ++depth;
      if (statement[i] == '>' && --depth == 0) break;
    }
    statement.remove_prefix(std::min(i + 1, statement.size()));
  }
  const std::size_t begin = std::min(statement.find_first_not_of(" \n"), statement.size());
  statement.remove_prefix(begin);
  return statement.substr(0, statement.find_first_of(" \n(<:"));
}

/// Whether the statement before an opening brace, at namespace or class level, is a function's head.
bool is_function_head(std::string_view statement) {
  static constexpr std::array<std::string_view, 6> kScopes{"namespace", "class", "struct", "union", "enum", "extern"};
  const std::size_t last = statement.find_last_not_of(" \n");
  const bool initialiser = last != std::string_view::npos && statement[last] == '=';
  return statement.find('(') != std::string_view::npos && !initialiser &&
         std::ranges::find(kScopes, first_word(statement)) == kScopes.end();
}

/// Reads a text without comments and literals brace by brace and reports the functions that are too long.
class FunctionReader {
 public:
  explicit FunctionReader(const File& file) : file_(file) {}

  Complaints read(const std::string& text) {
    for (const char c : text) take(c);
    return std::move(complaints_);
  }

 private:
  static bool is_access(std::string_view statement) {
    return statement == "public" || statement == "protected" || statement == "private";
  }

  void take(char c) {
    if (c == '\n') ++line_;
    if (c == '{') {
      open();
    } else if (c == '}') {
      close();
    } else if (c == ';' || (c == ':' && is_access(statement_))) {
      forget_statement();
    } else {
      if (statement_.empty() && std::isspace(static_cast<unsigned char>(c)) != 0) return;
      if (statement_.empty()) statement_line_ = line_;
      statement_ += c;
    }
  }

  void open() {
    const bool inside = std::ranges::any_of(open_, &Open::function);
    open_.push_back({statement_.empty() ? line_ : statement_line_, !inside && is_function_head(statement_)});
    forget_statement();
  }

  void close() {
    forget_statement();
    if (open_.empty()) return;
    const Open opened = open_.back();
    open_.pop_back();
    const std::size_t length = line_ - opened.line + 1;
    if (!opened.function || length <= kMaxFunctionLines) return;
    complaints_.push_back(
        at(file_, opened.line, fmt::format("a function of {} lines; the limit is {}", length, kMaxFunctionLines)));
  }

  void forget_statement() { statement_.clear(); }

  const File& file_;
  std::size_t line_ = 1;
  std::size_t statement_line_ = 1;
  std::string statement_;
  std::vector<Open> open_;
  Complaints complaints_;
};

/// Blanks out the text between `begin` and `end`, except newlines.
void blank(std::string& text, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < std::min(end, text.size()); ++i) {
    if (text[i] != '\n') text[i] = ' ';
  }
}

/// Directives of the preprocessor, with the lines that continue them, would look like the beginning of a statement.
std::string without_directives(std::string text) {
  bool continued = false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::size_t first = text.find_first_not_of(' ', begin);
    const bool directive = continued || (first < end && text[first] == '#');
    continued = directive && end > begin && text[end - 1] == '\\';
    if (directive) blank(text, begin, end);
    begin = end + 1;
  }
  return text;
}

/// The end (one past) of the literal or comment that begins at `i`, or nothing if none begins there.
std::optional<std::size_t> end_of_blank(std::string_view text, std::size_t i) {
  const auto past = [&](std::string_view mark, std::size_t from) {
    const std::size_t found = text.find(mark, from);
    return found == std::string_view::npos ? text.size() : found + mark.size();
  };
  if (text.substr(i, 2) == "//") return std::min(text.find('\n', i), text.size());
  if (text.substr(i, 2) == "/*") return past("*/", i + 2);
  if (text.substr(i, 2) == "R\"") {
    const std::size_t parenthesis = text.find('(', i);
    if (parenthesis == std::string_view::npos) return text.size();
    return past(fmt::format("){}\"", text.substr(i + 2, parenthesis - i - 2)), parenthesis);
  }
  const char quote = text[i];
  const bool digit_separator = quote == '\'' && i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])) != 0;
  if ((quote != '"' && quote != '\'') || digit_separator) return std::nullopt;
  for (std::size_t end = i + 1; end < text.size(); ++end) {
    if (text[end] == '\\') {
      ++end;
    } else if (text[end] == quote) {
      return end + 1;
    }
  }
  return text.size();
}

}  // namespace

std::string without_comments_and_literals(std::string_view text) {
  std::string result(text);
  for (std::size_t i = 0; i < text.size();) {
    const std::optional<std::size_t> end = end_of_blank(text, i);
    if (end) blank(result, i, *end);
    i = end.value_or(i + 1);
  }
  return result;
}

Complaints check_opening(const File& file, const std::vector<std::string>& exists) {
  if (!is_cpp(file.path)) return {};
  Complaints complaints;
  const std::string own_header = file.path.substr(0, file.path.rfind('.')) + ".hpp";
  const bool header = file.path == own_header;
  const bool implements = !header && std::ranges::find(exists, own_header) != exists.end();
  if (!implements && !file.text.starts_with("//")) {
    complaints.push_back(at(file, 1, "no comment that says what this file is"));
  }
  if (header && file.text.find("\n#pragma once\n") == std::string::npos) {
    complaints.push_back(at(file, 1, "no #pragma once"));
  }
  return complaints;
}

Complaints check_whitespace(const File& file) {
  Complaints complaints;
  std::size_t number = 0;
  for (const std::string& line : lines_of(file.text)) {
    ++number;
    if (line.find('\t') != std::string::npos) complaints.push_back(at(file, number, "a tab"));
    if (line.ends_with(' ') || line.ends_with('\r')) {
      complaints.push_back(at(file, number, "blanks at the end of the line"));
    }
  }
  if (!file.text.empty() && file.text.back() != '\n') complaints.push_back(at(file, number, "no newline at the end"));
  return complaints;
}

Complaints check_lengths(const File& file) {
  if (!is_cpp(file.path) || exceptions().contains(file.path)) return {};
  Complaints complaints = FunctionReader(file).read(without_directives(without_comments_and_literals(file.text)));
  const std::size_t lines = lines_of(file.text).size();
  if (lines > kMaxFileLines) {
    complaints.push_back(at(file, lines, fmt::format("a file of {} lines; the limit is {}", lines, kMaxFileLines)));
  }
  return complaints;
}

Complaints check_names(const File& file) {
  static const std::regex empty_words(
      R"((^|[._/-])(manager|handler|helper|util|info|job|node)s?([._-][^/]*)?$|(^|[_/-])data\.[ch]pp$)");
  // Put together here so that this file does not name one itself.
  static const std::regex homes(std::string("(^|[^a-z0-9_.])/(ho") + "me|Us" + "ers|ro" + "ot|wo" + "rk)/[a-z]");
  Complaints complaints;
  if (std::regex_search(file.path, empty_words)) {
    complaints.push_back(at(file, 1, "the name says nothing; say what the file holds"));
  }
  std::size_t number = 0;
  for (const std::string& line : lines_of(file.text)) {
    ++number;
    if (std::regex_search(line, homes)) complaints.push_back(at(file, number, "a path of one machine"));
  }
  return complaints;
}

}  // namespace tutti::tidy
