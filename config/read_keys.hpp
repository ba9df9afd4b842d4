// Which keys the reader looks for in each map of a description, and what it says about their values. The schema for
// editors is made of it (schema.hpp), so that a key which is read is also known there. Reading itself does not need it.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::config {

/// What a key may hold, as far as the function that reads it tells.
struct KeyForm {
  enum class Kind { any, whole, number, boolean, text, words };
  Kind kind = Kind::any;  ///< any: the code that looked for the key reads the value itself
  std::uint64_t least = 0;
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  bool may_be_negative = true;  ///< of a number
  bool may_be_zero = true;
  std::vector<std::string> words{};
  friend bool operator==(const KeyForm&, const KeyForm&) = default;
};

/// One call that looks for a key.
struct ReadKey {
  std::string key;
  KeyForm form{};
  bool required = false;
};

/// One map that was read.
struct ReadMap {
  std::string what;                          ///< as messages call it: "'input'", "member 0"
  std::map<std::string, std::string> words;  ///< its scalars, as they are written: {kind: mlp}
  std::vector<ReadKey> keys{};               ///< those that it may have, in the order of reading; a key may be repeated
};

/// In the order of reading. Maps stay where they are.
using ReadMaps = std::deque<ReadMap>;

/// The maps that reading this description reads. Its mistakes do not matter.
ReadMaps maps_read(std::string_view yaml);

}  // namespace tutti::config
