// Samples in memory with labels in memory: classes, masks, numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <tutti/images.hpp>
#include <tutti/samples.hpp>

#include "config/spec.hpp"

namespace tutti {

/// A view of both. `labels` as tutti::evaluate() takes them; `combine` tells what numbers of float32 are, and `ignored`
/// which class of masks does not count. Throws Error(usage) if there are more or fewer labels than samples, and if one
/// is not a class, not finite, or not 0 or 1 where it should be.
std::unique_ptr<Source> with_labels(const Images& images, const TensorView& labels, const config::CombineSpec& combine,
                                    std::optional<std::int64_t> ignored);
std::unique_ptr<Source> with_labels(const Samples& samples, const TensorView& labels,
                                    const config::CombineSpec& combine, std::optional<std::int64_t> ignored);

}  // namespace tutti
