// What reading and writing of safetensors share: the numbers of the format and the size of a tensor. Other code
// includes merge/safetensors.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merge/safetensors.hpp"

namespace tutti::merge {

inline constexpr std::size_t kLengthBytes = 8;                 ///< the header's length, little-endian
inline constexpr std::size_t kHeaderAlignment = 8;             ///< the data begin at a multiple of it
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  ///< the limit of the reference implementation
inline constexpr std::string_view kMetadataKey = "__metadata__";

std::optional<Dtype> dtype_of(std::string_view name);

/// Bytes of a tensor; nothing if an extent is negative or the product does not fit.
std::optional<std::size_t> bytes_of(Dtype dtype, std::span<const std::int64_t> shape);

/// A tensor of a file to write.
struct TensorRow {
  std::string_view name;
  Dtype dtype = Dtype::f32;
  std::span<const std::int64_t> shape;
  std::uint64_t bytes = 0;
};

/// What comes before the data: the length of the header and the header. The data of `rows` follow in their order,
/// without holes.
std::string front_of_file(std::span<const TensorRow> rows, const std::map<std::string, std::string>& metadata);

}  // namespace tutti::merge
