// Opens the source that a description names.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <tutti/images.hpp>

#include "config/spec.hpp"

namespace tutti {

/// The source of `input`, limited and normalised as it says. Throws Error(usage) where a file is missing or malformed,
/// or where `input` names no data set.
std::unique_ptr<Source> open_source(const config::InputSpec& input);

/// What is known of the images before the first is read.
struct InputForm {
  ImageShape shape;
  std::optional<std::uint64_t> images;  ///< nothing where they come through the API
};

/// That of the data set, or `input.shape` where there is none. Throws as open_source() does.
InputForm input_form(const config::InputSpec& input);

}  // namespace tutti
