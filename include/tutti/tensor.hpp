// What a tensor looks like: the type of its values and its shape. Plain values; no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tutti/error.hpp>

namespace tutti {

/// The type of a tensor's values. `boolean` is a byte, 0 or 1.
enum class Dtype : std::uint8_t { float32, float16, bfloat16, uint8, int32, int64, boolean };

/// Bytes per value.
constexpr std::size_t size_of(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::float32:
    case Dtype::int32:
      return 4;
    case Dtype::float16:
    case Dtype::bfloat16:
      return 2;
    case Dtype::int64:
      return 8;
    case Dtype::uint8:
    case Dtype::boolean:
      break;
  }
  return 1;
}

/// The sizes of a tensor, from the outermost: channels x height x width of an image. Nothing for a single number.
using Dims = std::vector<std::uint32_t>;

/// The most sizes that the tensor of one sample has: channels x depth x height x width, and one more.
constexpr std::size_t kMaxRank = 5;

/// The product of the sizes: 1 for a single number.
inline std::uint64_t elements_of(const Dims& dims) noexcept {
  std::uint64_t elements = 1;
  for (const std::uint32_t size : dims) elements *= size;
  return elements;
}

/// For messages: "3x32x32"; "1" for a single number.
inline std::string dims_text(const Dims& dims) {
  std::string text;
  for (const std::uint32_t size : dims) text += (text.empty() ? "" : "x") + std::to_string(size);
  return dims.empty() ? "1" : text;
}

/// One tensor of one sample, row-major.
struct TensorLayout {
  Dtype dtype = Dtype::float32;  ///< of each value
  Dims dims;                     ///< from the outermost

  /// Values.
  std::uint64_t elements() const noexcept { return elements_of(dims); }
  /// Of all values.
  std::uint64_t bytes() const noexcept { return elements() * size_of(dtype); }
  friend bool operator==(const TensorLayout&, const TensorLayout&) = default;
};

/// One tensor of each sample, and what a description calls it.
struct NamedLayout {
  std::string name;     ///< as in the `inputs` of a description
  TensorLayout layout;  ///< of one sample
  friend bool operator==(const NamedLayout&, const NamedLayout&) = default;
};

}  // namespace tutti
