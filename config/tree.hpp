// A configuration as it was written: maps, lists and scalars, each with its place. It knows neither yaml-cpp nor the
// meaning of any key. Files are merged and overrides applied on trees, so that a message names the right file after it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/violations.hpp"

namespace tutti::config {

/// A value: copies deeply, is compared by nobody.
struct Tree {
  enum class Kind { null, scalar, list, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string scalar;   ///< as it was written, without quotes
  bool quoted = false;  ///< it was in quotes: text, even where it looks like a number
  bool blank = false;   ///< null because nothing was written, as opposed to the word
  Place place;
  std::vector<Tree> items;
  std::vector<Entry> entries;  ///< in the order of the file; keys are distinct

  static Tree null();
  static Tree plain(std::string scalar);  ///< a number, a name: written without quotes
  static Tree text(std::string scalar);   ///< written in quotes
  static Tree list();
  static Tree map();

  bool is_plain(std::string_view word) const { return kind == Kind::scalar && !quoted && scalar == word; }

  /// The value of a map's key, or nothing; nothing for what is no map.
  const Tree* find(std::string_view key) const;
  Tree* find(std::string_view key);
  const Entry* find_entry(std::string_view key) const;
  /// Sets a map's key, or adds it at the end.
  void set(std::string_view key, Tree value, Place key_place = {});
  void remove(std::string_view key);
};

struct Tree::Entry {
  std::string key;
  Place key_place;
  Tree value;
};

/// For messages: the beginning of a text, which may be long and hold anything, as part of one line.
std::string one_line(std::string_view text);

/// For messages: "'abc'", "the text '3'" (quoted), "nothing", "a list", "a map".
std::string describe(const Tree& tree);

/// Lays `above` over `below`: maps are merged key by key, anything else, lists too, is replaced.
void merge(Tree& below, Tree above);

}  // namespace tutti::config
