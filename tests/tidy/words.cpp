// Words that keep prose from being plain English: each with the usual word to write instead. Looks at comments,
// literals and documents, but not at code, where a word may be a name.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "tests/tidy/checks.hpp"

namespace tutti::tidy {
namespace {

/// Where a phrase counts: some are idioms only at the end of a clause ("all the same size" is plain English).
enum class Followed { by_anything, by_end_of_clause };

struct Phrase {
  std::string_view words;  ///< lower case, one blank between two words
  std::string_view instead;
  Followed followed = Followed::by_anything;
  std::string_view unless = {};  ///< the next word that makes it another phrase
};

// Only phrases with practically no other use: a false complaint costs more than a missed one.
constexpr std::array kPhrases{
    Phrase{"for want of", "because there is not enough"},
    Phrase{"learnt", "trained on, or learned"},
    Phrase{"anew", "again"},
    Phrase{"mend", "fix"},
    Phrase{"mends", "fixes"},
    Phrase{"mended", "fixed"},
    Phrase{"in turns", "alternately, or interleaved"},
    Phrase{"all the same", "still", Followed::by_end_of_clause},
    Phrase{"at the most", "at most", Followed::by_end_of_clause},
    Phrase{"at the least", "at least", Followed::by_end_of_clause},
    Phrase{"begun", "started"},
    Phrase{"whoever", "a subject, such as the user"},
    Phrase{"it is no file", "it is not a file"},
    Phrase{"is no number", "is not a number"},
    Phrase{"is no folder of", "is not a folder of"},
    Phrase{"stands in", "is in", Followed::by_anything, "for"},
    Phrase{"stand in", "are in", Followed::by_anything, "for"},
    Phrase{"lies in", "is in"},
    Phrase{"lie in", "are in"},
    Phrase{"goes on", "continues"},
    Phrase{"can be had", "exists, or can be allocated"},
    Phrase{"cannot be had", "does not exist, or cannot be allocated"},
    Phrase{"could be had", "was found, or could be allocated"},
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-'; }

bool has_ending(std::string_view path, std::initializer_list<std::string_view> endings) {
  return std::ranges::any_of(endings, [&](std::string_view ending) { return path.ends_with(ending); });
}

/// The prose of a file in lower case, as one line: a phrase may cross the end of a line and the mark of a comment.
class Prose {
 public:
  explicit Prose(const File& file) {
    const bool cpp = has_ending(file.path, {".cpp", ".hpp", ".cu"});
    const std::string code = cpp ? without_comments_and_literals(file.text) : std::string();
    for (std::size_t i = 0; i < file.text.size(); ++i) add(file.text[i], cpp && code[i] != ' ' && code[i] != '\n');
  }

  const std::string& text() const { return text_; }
  std::size_t line_of(std::size_t place) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(starts_, place) - starts_.begin());
  }

 private:
  static constexpr char kNoProse = '\1';  // no phrase goes across it

  void add(char c, bool is_code) {
    if (c == '\n') {
      at_start_ = true;
      in_quotes_ = false;
      blank();
      starts_.push_back(text_.size());
      return;
    }
    if (c == '`') in_quotes_ = !in_quotes_;
    const bool mark = at_start_ && (c == '/' || c == '#' || c == '*');
    if (c == ' ' || mark) return blank();
    at_start_ = false;
    text_ += is_code || in_quotes_ ? kNoProse : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }

  void blank() {
    if (!text_.empty() && text_.back() != ' ') text_ += ' ';
  }

  std::string text_;
  std::vector<std::size_t> starts_{0};  ///< of the lines
  bool at_start_ = true;                ///< of a line, where only blanks and marks have come
  bool in_quotes_ = false;              ///< of code in prose
};

bool counts(std::string_view text, std::size_t begin, const Phrase& phrase) {
  const std::string_view rest = text.substr(begin + phrase.words.size());
  if ((begin > 0 && is_word(text[begin - 1])) || (!rest.empty() && is_word(rest.front()))) return false;
  const bool goes_on = rest.size() > 1 && rest.front() == ' ' && std::islower(static_cast<unsigned char>(rest[1])) != 0;
  if (phrase.followed == Followed::by_end_of_clause && goes_on) return false;
  return phrase.unless.empty() || !rest.starts_with(fmt::format(" {} ", phrase.unless));
}

}  // namespace

Complaints check_words(const File& file) {
  if (!has_ending(file.path, {".cpp", ".hpp", ".cu", ".md", ".py", ".sh", ".cmake", "CMakeLists.txt"}) &&
      !file.path.starts_with("scripts/") && !file.path.starts_with(".ci/")) {
    return {};
  }
  Complaints complaints;
  const Prose prose(file);
  for (const Phrase& phrase : kPhrases) {
    for (std::size_t i = prose.text().find(phrase.words); i != std::string::npos;
         i = prose.text().find(phrase.words, i + 1)) {
      if (!counts(prose.text(), i, phrase)) continue;
      complaints.push_back(
          fmt::format("{}:{}: not \"{}\" but: {}", file.path, prose.line_of(i), phrase.words, phrase.instead));
    }
  }
  return complaints;
}

}  // namespace tutti::tidy
