// Where the predictions of a call are collected.
#pragma once

#include <memory>

#include <tutti/images.hpp>

#include "coordinator/decide/lineup.hpp"
#include "results/sinks.hpp"

namespace tutti {

/// For the predictions that the lineup, which has a description, makes of the source's samples, or of the inputs that
/// it cuts them from. Throws Error(usage) if these cannot be put together.
std::unique_ptr<images::CollectingSink> collecting(const Source& source, const Lineup& lineup);

}  // namespace tutti
