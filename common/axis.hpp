// Axes of a prediction, numbered as in PyTorch: 0 is that of the samples, 1 the first of a prediction, -1 the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <tutti/tensor.hpp>

namespace tutti {

/// Which of the prediction's sizes `axis` means; nothing if it has no such axis.
inline std::optional<std::size_t> size_at(const Dims& prediction, std::int32_t axis) {
  const auto rank = static_cast<std::int32_t>(prediction.size());
  const std::int32_t index = axis < 0 ? rank + axis : axis - 1;
  if (axis == 0 || index < 0 || index >= rank) return std::nullopt;
  return static_cast<std::size_t>(index);
}

/// The sizes without that of `axis`, which exists: of what is decided between the classes along it.
inline Dims without_axis(Dims prediction, std::int32_t axis) {
  prediction.erase(prediction.begin() + static_cast<std::ptrdiff_t>(size_at(prediction, axis).value()));
  return prediction;
}

}  // namespace tutti
