// Where the classes are in a prediction.
#pragma once

#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

#include <tutti/error.hpp>
#include <tutti/tensor.hpp>

#include "common/axis.hpp"

namespace tutti {

/// The values of one prediction, seen from the axis of the classes: `outer` times the same block of `classes` x `inner`
/// values. A row of classes is 1 x classes x 1, a mask of classes x height x width 1 x classes x (height * width).
struct ClassAxis {
  std::uint64_t outer = 1;
  std::uint64_t classes = 1;
  std::uint64_t inner = 1;
  friend bool operator==(const ClassAxis&, const ClassAxis&) = default;

  constexpr ClassAxis(std::uint64_t outer_blocks, std::uint64_t class_count, std::uint64_t inner_values)
      : outer(outer_blocks), classes(class_count), inner(inner_values) {}
  /// A row; implicit, because most predictions are rows.
  constexpr ClassAxis(std::uint64_t width) : classes(width) {}
  static constexpr ClassAxis of_row(std::uint64_t width) { return {width}; }
  /// `axis` as in common/axis.hpp. Throws Error(usage) if predictions of these sizes have no such axis.
  static ClassAxis of(const Dims& prediction, std::int32_t axis) {
    const auto at = size_at(prediction, axis);
    if (!at)
      throw Error(
          ErrorKind::usage, fmt::format("there is no axis {} with classes", axis),
          fmt::format("the members' predictions are {}", dims_text(prediction)),
          "set 'axis' of 'combine' to where the classes are: 1 is the first axis after the sample, -1 the last");
    ClassAxis found{1, prediction[*at], 1};
    for (std::size_t i = 0; i < prediction.size(); ++i) {
      if (i < *at) found.outer *= prediction[i];
      if (i > *at) found.inner *= prediction[i];
    }
    return found;
  }

  constexpr std::uint64_t values() const noexcept { return outer * classes * inner; }
  /// One between the classes at each place.
  constexpr std::uint64_t decisions() const noexcept { return outer * inner; }
};

}  // namespace tutti
