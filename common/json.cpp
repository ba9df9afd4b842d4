// Boost.JSON is compiled here, from its headers: no further library to install or to link.
#include <boost/json/src.hpp>

#include "common/json.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti {
namespace {

void write_pretty(std::string& out, const json::value& value, std::size_t depth) {
  const auto indent = [&](std::size_t levels) { out.append(2 * levels, ' '); };
  const auto is_scalar = [](const json::value& v) { return !v.is_object() && !v.is_array(); };
  if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    out += "{\n";
    std::size_t left = object->size();
    for (const auto& [key, member] : *object) {
      indent(depth + 1);
      out += json::serialize(json::string(key)) + ": ";
      write_pretty(out, member, depth + 1);
      out += --left == 0 ? "\n" : ",\n";
    }
    indent(depth);
    out += '}';
    return;
  }
  const json::array* array = value.if_array();
  if (array == nullptr || array->empty() || std::all_of(array->begin(), array->end(), is_scalar)) {
    out += json::serialize(value);  // a row of numbers stays on one line
    return;
  }
  out += "[\n";
  for (std::size_t i = 0; i < array->size(); ++i) {
    indent(depth + 1);
    write_pretty(out, (*array)[i], depth + 1);
    out += i + 1 == array->size() ? "\n" : ",\n";
  }
  indent(depth);
  out += ']';
}

}  // namespace

json::value parse_json(std::string_view text, std::string_view what) {
  json::error_code code;
  json::stream_parser parser;
  const std::size_t used = parser.write_some(text.data(), text.size(), code);
  if (!code && used < text.size()) code = json::error::extra_data;
  if (!code) parser.finish(code);
  if (code)
    throw Error(ErrorKind::failed, fmt::format("{} is not valid JSON", what),
                fmt::format("{} at byte {}", code.message(), used));
  return parser.release();
}

std::string pretty_json(const json::value& value) {
  std::string out;
  write_pretty(out, value, 0);
  out += '\n';
  return out;
}

}  // namespace tutti
