// The JSON report of `tutti merge`, which docs/merging.md describes.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "common/json.hpp"
#include "config/spec.hpp"
#include "evaluation/merge/greedy_soup.hpp"
#include "evaluation/merge/statistics.hpp"
#include "merge/merging.hpp"

namespace tutti {

/// Changes if a reader of the old schema would misunderstand the new one; new fields do not change it.
inline constexpr const char* kMergeSchema = "tutti.merge/1";

struct MergeReport {
  std::vector<merge::MergeInput> inputs;  ///< all of `merge.over`
  std::optional<merge::MergeInput> base;
  std::vector<double> factors;  ///< weighted: the factor of each input
  std::optional<Soup> soup;
  std::optional<Statistics> statistics;  ///< batch_norm: estimate
  merge::MergeOutcome outcome;
  std::filesystem::path result;  ///< the file
  double evaluate_seconds = 0;   ///< greedy soup
  double merge_seconds = 0;
};

/// Reads the files once more, for their checksums.
json::value to_json(const MergeReport& report, const config::EnsembleSpec& spec);

}  // namespace tutti
