// Catches the Error of a call, so that a test can look at its kind, message, detail and hint. For tests only.
#pragma once

#include <optional>
#include <string_view>
#include <tutti/error.hpp>

namespace tutti::test {

/// The Error that `call` throws, or nothing if it returns.
template <class Call>
std::optional<Error> error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace tutti::test
