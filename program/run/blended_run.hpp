// What is different in a run over tiles: its predictions are blended, and compared with labels only then.
#pragma once

#include <filesystem>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "results/blending.hpp"
#include "results/report.hpp"

namespace tutti::program {

/// Throws Error(usage) if the predictions of the tiles of `source` cannot be put together, or if there are masks and
/// they have more classes than the members. Call it once the models are loaded.
void check_tiles(const config::EnsembleSpec& spec, Source& source, const std::vector<MemberStatus>& members);

/// The sink of such a run. check_tiles() has passed; the source outlives it.
class BlendedRun {
 public:
  BlendedRun(const config::EnsembleSpec& spec, Source& source, const std::vector<MemberStatus>& members,
             const std::filesystem::path& folder, const images::ResultForm& form);

  images::BlendingSink& sink() { return sink_; }
  /// The scores of what was blended so far, for what the report has already.
  void add_scores(images::Report& report) const;

 private:
  images::BlendingSink sink_;
};

}  // namespace tutti::program
