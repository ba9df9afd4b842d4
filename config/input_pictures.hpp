// Reads what the `input` says about pictures: a folder of them, and how pictures of any size become images of one.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "config/input.hpp"
#include "config/reader.hpp"

namespace tutti::config {

/// The keys that read_resize() reads.
inline constexpr std::array<std::string_view, 5> kResizeKeys{"resize", "rule", "crop", "interpolation",
                                                             "crop_rounding"};

/// These keys; `size` is used if the map has no `resize`.
void read_resize(Fields& fields, Resize& resize, std::optional<Size> size, Violations& violations);

/// Pictures differ in size, and images in the arena do not: what does not fit exactly is cropped. Reads how pictures
/// are decoded, too. `size` is used if there is no `resize`.
void read_decoding(Fields& fields, InputSpec& input, std::optional<Size> size, Violations& violations);

/// The keys of `dataset: folder`.
void read_folder(Fields& fields, InputSpec& input, Violations& violations);

}  // namespace tutti::config
