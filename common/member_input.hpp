// The bound of an image. What is done to one before a member sees it are values of tutti/inputs.hpp; common/resample
// does the resizing.
#pragma once

#include <cstddef>

#include <tutti/inputs.hpp>

#include "common/values.hpp"

namespace tutti {

/// The most values in one image: 1 GiB as float32. With the bounds in config/load.hpp, the bytes of an arena fit into
/// 64 bits.
constexpr std::size_t kMaxImageElements = std::size_t{1} << 28;

}  // namespace tutti
