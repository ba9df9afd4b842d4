// A configuration as it was written: maps, lists and scalars, each with its position. It knows neither yaml-cpp nor the
// meaning of any key. Files are merged and overrides applied on trees, so that later messages still name the right
// file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/violations.hpp"

namespace tutti::config {

/// A value: copies are deep; there is no comparison.
struct Tree {
  enum class Kind { null, scalar, list, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string scalar;   ///< as it was written, without quotes
  bool quoted = false;  ///< it was in quotes: text, even if it looks like a number
  bool blank = false;   ///< null because nothing was written, not because of the word null
  SourcePosition position;
  std::vector<Tree> items;
  std::vector<Entry> entries;  ///< in the order of the file; keys are distinct

  static Tree null();
  static Tree plain(std::string scalar);  ///< a number, a name: written without quotes
  static Tree text(std::string scalar);   ///< written in quotes
  static Tree list();
  static Tree map();

  /// In quotes or not.
  bool is_word(std::string_view word) const { return kind == Kind::scalar && scalar == word; }

  /// The value of a map's key, or nothing; nothing if this is not a map.
  const Tree* find(std::string_view key) const;
  Tree* find(std::string_view key);
  const Entry* find_entry(std::string_view key) const;
  /// Sets a key of a map, or adds it at the end.
  void set(std::string_view key, Tree value, SourcePosition key_position = {});
  void remove(std::string_view key);
};

struct Tree::Entry {
  std::string key;
  SourcePosition key_position;
  Tree value;
};

/// For messages: the start of a text, which may be long and contain anything, as part of one line.
std::string one_line(std::string_view text);

/// For messages: "'abc'", "the text '3'" (quoted), "nothing", "a list", "a map".
std::string describe(const Tree& tree);

/// Merges `above` over `below`: maps are merged key by key, and anything else, including lists, is replaced.
void merge(Tree& below, Tree above);

}  // namespace tutti::config
