// Labels without images, for predictions that were computed elsewhere or in an earlier run.
#pragma once

#include <cstdint>
#include <memory>

#include <tutti/images.hpp>

#include "images/label_tensor.hpp"

namespace tutti::images {

/// A source of `count` samples that have no tensors, and the labels of a file: one class for each, or labels of another
/// form (label_tensor.hpp). read() and read_tensors() give only labels. Throws Error(usage) that names the file if it
/// holds other labels, or not `count`.
std::unique_ptr<Source> only_labels(const LabelFile& labels, std::uint64_t count);

}  // namespace tutti::images
