// What messages call tensors and samples.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <tutti/tensor.hpp>

namespace tutti {

/// "3x32x32 of uint8"; "a number of float32" if it has no sizes.
std::string layout_text(const TensorLayout& layout);

/// The tensors of a sample: "image (3x32x32 of uint8) and ids (16 of int64)". A single image is only its sizes,
/// "3x32x32".
std::string sample_text(std::span<const NamedLayout> tensors);

/// "a", "a and b", "a, b and c".
std::string and_list(std::span<const std::string> names);

std::vector<std::string> names_of(std::span<const NamedLayout> tensors);

}  // namespace tutti
