// Loads text that is wrong and returns the messages about it. For tests only.
#pragma once

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>

#include "config/load.hpp"

namespace tutti::test {

/// One fake member, to which a case adds the keys that it tests.
inline const std::string kOneMember = "members: [{name: a, model: {kind: fake}}]\n";

/// The description with that member and these keys.
inline config::EnsembleSpec load_one(const std::string& rest) { return config::load_text(kOneMember + rest, "e.yaml"); }

/// The lines about the violations, in the order of the message; empty if there are none.
template <class Load>
std::vector<std::string> problems_of(Load&& load) {
  try {
    load();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    if (error.detail().empty()) return {error.message()};
    std::vector<std::string> lines;
    std::istringstream detail(error.detail());
    for (std::string line; std::getline(detail, line);) lines.push_back(line);
    return lines;
  }
  return {};
}

inline std::vector<std::string> problems(std::string_view yaml, const config::Overrides& overrides = {}) {
  return problems_of([&] { config::load_text(yaml, "e.yaml", overrides); });
}

/// The only violation, or all of them for the message of the failing check.
inline std::string problem(std::string_view yaml, const config::Overrides& overrides = {}) {
  std::string text;
  for (const std::string& line : problems(yaml, overrides)) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace tutti::test
