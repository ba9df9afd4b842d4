// JSON, through Boost.JSON: only these files include it. Adds what Boost leaves to its user: errors with a position,
// and reading of required fields.
#pragma once

#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace tutti {

namespace json = boost::json;

/// Parses a whole text. Throws Error(failed): "`what` is not valid JSON", with the reason and the offset.
json::value parse_json(std::string_view text, std::string_view what);

/// `value` with two-space indentation and a final newline, keys in the order in which they were inserted.
std::string pretty_json(const json::value& value);

}  // namespace tutti
