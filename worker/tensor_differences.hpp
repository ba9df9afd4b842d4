// Describes how the tensors of a file differ from those that a model needs. Compares only names, shapes and types; does
// not use LibTorch.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "merge/checkpoint.hpp"

namespace tutti::worker {

struct WantedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<merge::Dtype> types;  ///< any of these
};
using TensorForms = std::map<std::string, merge::TensorForm>;

/// One line for each tensor that is missing, unknown, or has another shape or type; missing and unknown names with the
/// nearest. Only one line if all names have the prefix of a wrapper (merge/wrapper_prefix.hpp). Empty if the file fits.
std::vector<std::string> tensor_differences(const TensorForms& found, std::span<const WantedTensor> wanted);

/// The detail of an error: the first lines, and how many more there are, since a file of another model differs in
/// everything.
std::string listed(std::vector<std::string> differences);

/// "F32, F16 or BF16".
std::string one_of(std::span<const merge::Dtype> types);

}  // namespace tutti::worker
