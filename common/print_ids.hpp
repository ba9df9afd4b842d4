// fmt prints ids as their numbers. Apart from ids.hpp, which the records in shared memory include.
#pragma once

#include <fmt/format.h>

#include "common/ids.hpp"

template <class Tag, class Number>
struct fmt::formatter<tutti::Id<Tag, Number>> : fmt::formatter<Number> {
  template <class Context>
  auto format(tutti::Id<Tag, Number> id, Context& context) const {
    return fmt::formatter<Number>::format(id.value(), context);
  }
};
