// The segment of `segment_images: auto`, which is the default: 500 images, or fewer if there are few images or each is
// large. Pure. A segment's length decides where batches end, and so the last bits of the predictions: it depends on the
// description and on the images only, never on how fast something was or on how many slots there are.
#pragma once

#include <cstdint>

#include "config/spec.hpp"
#include "coordinator/plan/input.hpp"

namespace tutti {

/// Images per segment: enough segments to keep the workers busy (8, if there are so many batches), and at most 64 MiB
/// of images, but whole batches and at least one. `images` empty: their number is not known.
std::uint32_t choose_segment(const config::EnsembleSpec& spec, const InputForm& images);

/// The description with that segment instead of `auto`; unchanged if it names one. In training the number of images
/// does not count, because the segments are part of what is learned.
config::EnsembleSpec with_segment(config::EnsembleSpec spec, InputForm images, bool training);

}  // namespace tutti
