// What is wrong with the tensors of a file beside those that a model needs, in words. Looks at names, shapes and types
// alone; without LibTorch.
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
  std::vector<merge::Dtype> types;  ///< any of them
};
using TensorForms = std::map<std::string, merge::TensorForm>;

/// One line for each tensor that is missing, of another shape, of a type that is not wanted, or unknown; names that are
/// not there with the nearest. Empty if the file fits.
std::vector<std::string> tensor_differences(const TensorForms& found, std::span<const WantedTensor> wanted);

/// The detail of an error. A file of another model differs in everything, and the message is for people: only the first
/// lines are in it, and how many more there are.
std::string listed(std::vector<std::string> differences);

/// "F32, F16 or BF16".
std::string one_of(std::span<const merge::Dtype> types);

}  // namespace tutti::worker
