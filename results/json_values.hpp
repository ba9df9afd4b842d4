// Numbers and lists as JSON.
#pragma once

#include <cmath>
#include <optional>

#include "common/json.hpp"

namespace tutti::images::as_json {

/// JSON has no NaN and no infinity.
inline json::value number(std::optional<double> value) {
  return value && std::isfinite(*value) ? json::value(*value) : json::value(nullptr);
}

template <class Value>
json::value or_null(const std::optional<Value>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

template <class Values, class Convert>
json::array list(const Values& values, Convert convert) {
  json::array array;
  for (const auto& value : values) array.push_back(convert(value));
  return array;
}

}  // namespace tutti::images::as_json
