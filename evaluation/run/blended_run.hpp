// What is different in a run over tiles: its predictions are blended, and compared with labels only then.
#pragma once

#include <optional>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "results/blending.hpp"
#include "results/report.hpp"

namespace tutti {

/// Throws Error(usage) if the predictions of the tiles of `source` cannot be put together, or if there are masks and
/// they have more classes than the members. Call it once the models are loaded.
void check_tiles(const config::EnsembleSpec& spec, Source& source, const std::vector<MemberStatus>& members);

/// The masks that the classes of inputs are compared with, and the predictions of the members; nothing without masks,
/// or if nothing is decided. The source outlives it.
std::optional<images::TileLabels> tile_labels(const config::EnsembleSpec& spec, Source& source,
                                              const std::vector<MemberStatus>& members);

/// Adds the scores of what was blended so far to what the report has already.
void add_blended_scores(images::Report& report, const images::BlendingSink& blended);

}  // namespace tutti
