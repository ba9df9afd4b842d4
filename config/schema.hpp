// A JSON Schema (draft 7) of a description, for editors: they complete keys and values and mark mistakes while one
// types. It is made of what the reader looks for (read_keys.hpp) and says less than the reader: what depends on several
// keys, on files or on this machine is found by `tutti validate` and `tutti plan`.
#pragma once

#include <string>
#include <string_view>

namespace tutti::config {

/// The schema, as JSON.
std::string schema_text();

/// The definition in the schema for a map that messages call `what`: "member" for "member 3". Empty if there is none.
std::string_view definition_of(std::string_view what);

}  // namespace tutti::config
