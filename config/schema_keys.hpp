// What editors show about each key of a description, and the forms of those values that have a reader of their own. Not
// which keys there are: that is what reading looks for (read_keys.hpp).
#pragma once

#include <span>
#include <string_view>

namespace tutti::config {

struct SchemaKey {
  std::string_view definition;  ///< of the schema: "member"
  std::string_view key;
  std::string_view text;
  std::string_view form{};  ///< JSON; empty: the function that reads the key tells
};

/// Sorted by nothing; each key once.
std::span<const SchemaKey> schema_keys();

}  // namespace tutti::config
