// Reads `inputs:`, the tensors of the samples.
#pragma once

#include <vector>

#include "config/reader.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// The key `inputs` of an input whose `dataset` is known; empty if there is none. Mistakes become violations, among
/// them keys that describe images.
std::vector<InputTensor> read_input_tensors(Fields& fields, Dataset dataset, Violations& violations);

}  // namespace tutti::config
