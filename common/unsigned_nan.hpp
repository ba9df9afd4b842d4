// Numbers as tables show them.
#pragma once

#include <cmath>

namespace tutti {

/// `value`; a NaN without its sign, which means nothing and would be printed as "-nan".
template <class Number>
Number unsigned_nan(Number value) {
  return std::isnan(value) ? std::fabs(value) : value;
}

}  // namespace tutti
