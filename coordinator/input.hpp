// Opens the source that a description names.
#pragma once

#include <memory>

#include <tutti/images.hpp>

#include "config/spec.hpp"

namespace tutti {

/// The source of `input`, limited and normalised as it says. Throws Error(usage) where a file is missing or malformed,
/// or where `input` names no data set.
std::unique_ptr<Source> open_source(const config::InputSpec& input);

/// The shape of the images that the ensemble takes: that of the data set, or `input.shape` where there is none.
ImageShape input_shape(const config::InputSpec& input);

}  // namespace tutti
