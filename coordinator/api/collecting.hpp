// Where the predictions of a call are collected.
#pragma once

#include <memory>

#include <tutti/images.hpp>

#include "config/spec.hpp"
#include "common/ids.hpp"
#include "results/sinks.hpp"

namespace tutti {

/// For the predictions of the source's samples, or of the inputs that it cuts them from. `outputs`: the sizes of each
/// member's predictions. Throws Error(usage) if these cannot be put together.
std::unique_ptr<images::CollectingSink> collecting(const Source& source, const config::EnsembleSpec& spec,
                                                   const ByRank<Dims>& outputs);

}  // namespace tutti
